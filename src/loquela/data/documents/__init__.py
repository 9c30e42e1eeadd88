"""Documents → text: PDF, DOCX, HTML, Markdown, EPUB and plain text, each read in a limited process (see load.py)."""
