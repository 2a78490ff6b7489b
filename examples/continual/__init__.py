"""Class-incremental learning by experience replay: draws of the buffer uniform or balanced."""
