"""A law: whatever a text is, the page has the elements that it has for harmless words in the text's place."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qiltest.report import write_html

#: what could begin or end anything in HTML, in an attribute, a comment or a script.
SIGNS = "<>&\"'`/=!-[]{}%;:"
texts = st.text(alphabet=st.one_of(st.sampled_from(SIGNS), st.characters()), max_size=40)
ENDINGS = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!-- ]]>",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
)


class Shape(HTMLParser):
    """The tags of a page with the names of their attributes, in order."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_endtag(self, tag):
        self.tags.append((f"/{tag}", ()))

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")


def shape(fake, case, text):
    """Render a page with the text in every place that others choose, and return its tags."""
    made = replace(case("tea", "Qwen"), title=f"x{text}", prompt=f"x{text}")
    run = fake(made)
    run.add("tea", "base", "Qwen")
    run.add("tea", "8step", error=f"x{text}", image=False)
    built = run.build(model=f"x{text}", device_name=f"x{text}", command=("x", f"x{text}"), problems=(f"x{text}",))
    path = built.path / "report.html"
    write_html(built, path)
    html = path.read_text(encoding="utf-8")
    return Shape(html).tags


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts)
@example(ENDINGS[0])
@example(ENDINGS[1])
@example(ENDINGS[2])
@example(ENDINGS[3])
@example(ENDINGS[4])
def test_no_text_adds_or_removes_an_element_or_an_attribute(fake, case, text):
    harmless = re.sub(f"[{re.escape(SIGNS)}]", "a", text)
    assert shape(fake, case, text) == shape(fake, case, harmless)
