"""The offline HTML report: templates, page, previews, charts."""
