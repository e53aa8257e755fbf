"""The pages of the laboratory, of a power study and of a sensitivity study."""
