"""The built-in plugins, each found by its entry point like anybody's."""
