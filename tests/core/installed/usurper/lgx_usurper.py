raise AssertionError("a command that is refused must not be imported")
