"""An owner's library of personas."""
