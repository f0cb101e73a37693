"""Replies as HTML: Markdown, boxes of code, formulas. What a model writes is hostile input."""
