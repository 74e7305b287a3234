"""Operations: their documents, how they run, and what is answered."""
