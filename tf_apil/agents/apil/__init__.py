"""APIL and enhanced APIL: Bui, Mai, Nguyen 2023."""
