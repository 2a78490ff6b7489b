"""Mini epochs over many small files of a board-game-like data set, interrupted and resumed."""
