"""The words of Aias as frozen values. Imports nothing else of Aias."""
