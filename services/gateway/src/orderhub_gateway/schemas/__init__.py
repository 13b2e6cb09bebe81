"""The public shapes. Fields are added, never renamed; requests refuse what they do not know."""
