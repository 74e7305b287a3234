"""The work itself. Knows nothing of the other rooms but the protocol that it defines."""
