// Runs graphs on the savers of LangGraph's JavaScript packages: what the files `*/js-*.sql.gz` hold.
//
//     npm install --legacy-peer-deps @langchain/langgraph@1.3.7 @langchain/core@1.2.13 zod \
//         @langchain/langgraph-checkpoint@1.1.5 @langchain/langgraph-checkpoint-postgres@1.0.5 \
//         @langchain/langgraph-checkpoint-sqlite@1.0.4
//     node write.mjs DSN && pg_dump --inserts --no-owner DSN
//     node write.mjs FILE && sqlite3 FILE .dump

import { AIMessage, HumanMessage } from "@langchain/core/messages";
import {
  Annotation,
  Command,
  END,
  MessagesAnnotation,
  Send,
  START,
  StateGraph,
  interrupt,
} from "@langchain/langgraph";

const State = Annotation.Root({
  ...MessagesAnnotation.spec,
  done: Annotation({ reducer: (a, b) => a.concat(b), default: () => [] }),
  job: Annotation(),
  n: Annotation(),
  half: Annotation(),
  nothing: Annotation(),
  raw: Annotation(),
});

function graph() {
  return new StateGraph(State)
    .addNode("first", (state) => ({
      n: (state.n ?? 0) + 1,
      half: 0.5,
      nothing: null,
      raw: new Uint8Array([0, 255]),
      messages: [new AIMessage({ content: "hi 🎈", id: `a${state.n}` })],
    }))
    .addNode("work", (state) => ({ done: [state.job] }))
    .addNode("last", () => ({ done: ["last"] }))
    .addEdge(START, "first")
    .addConditionalEdges("first", () => ["a", "b"].map((job) => new Send("work", { job })), ["work"])
    .addEdge("work", "last")
    .addEdge("last", END);
}

function outer() {
  return new StateGraph(State)
    .addNode("child", graph().compile())
    .addNode("end", () => ({ n: 9 }))
    .addEdge(START, "child")
    .addEdge("child", "end")
    .addEdge("end", END);
}

function asking() {
  return new StateGraph(State)
    .addNode("ask", () => ({ done: [interrupt({ question: "who?" })] }))
    .addEdge(START, "ask")
    .addEdge("ask", END);
}

const config = (thread_id) => ({ configurable: { thread_id } });

async function fill(checkpointer) {
  const begin = () => ({ messages: [new HumanMessage({ content: "hello", id: "h" })], n: 1 });
  const plain = graph().compile({ checkpointer });
  await plain.invoke(begin(), config("plain"));
  const waiting = graph().compile({ checkpointer, interruptBefore: ["work"] });
  await waiting.invoke(begin(), config("sends"));
  await outer().compile({ checkpointer }).invoke(begin(), config("outer"));
  const asked = asking().compile({ checkpointer });
  await asked.invoke({ done: [] }, config("asked"));
  await asked.invoke({ done: [] }, config("answered"));
  await asked.invoke(new Command({ resume: "Zoë" }), config("answered"));
  const history = [];
  for await (const state of plain.getStateHistory(config("plain"))) history.push(state);
  await plain.updateState(history[2].config, { done: ["forked"] }, "last");
}

const place = process.argv[2];
if (place.startsWith("postgres")) {
  const { PostgresSaver } = await import("@langchain/langgraph-checkpoint-postgres");
  const saver = PostgresSaver.fromConnString(place);
  await saver.setup();
  await fill(saver);
  await saver.end();
} else {
  const { SqliteSaver } = await import("@langchain/langgraph-checkpoint-sqlite");
  const saver = SqliteSaver.fromConnString(place);
  await fill(saver);
  saver.db.close();
}
