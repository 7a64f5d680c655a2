"""The ground floor: errors, files, configuration, vocabulary. Everybody may import it; it imports nobody."""
