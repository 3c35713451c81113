"""The HTML report: one file for the browser, with its templates, previews and charts."""
