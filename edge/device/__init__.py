"""On the Jetson: build the engine, locate what comes in, put fixes where they are wanted."""
