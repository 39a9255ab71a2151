"""Renders a document: HTML on its own (Jinja2), DOCX (python-docx), PDF (Typst), JSON, and plain text."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import jinja2
import typst
from docx import Document as Word
from docx.enum.section import WD_ORIENT
from docx.shared import Pt, RGBColor

from reports.document import Document, Field, Open, Paragraph, Section, Table, Text, to_json

_html = jinja2.Environment(
    loader=jinja2.PackageLoader("reports"), autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined
)
_OPEN = RGBColor(0x8A, 0x4B, 0x00)


def _about(document: Document) -> list[tuple[str, str]]:
    still_open = sum(1 for _ in document.open_points())
    return [
        *document.about,
        ("Made", document.made),
        ("Digest of this document", document.digest),
        ("Open places", f"{still_open}: marked, and to be filled by the operator" if still_open else "none"),
    ]


def html(document: Document) -> bytes:
    """One HTML file that needs nothing else."""
    return _html.get_template("document.html").render(document=document, about=_about(document)).encode()


def as_json(document: Document) -> bytes:
    """The document as JSON, with its digest."""
    content = {"digest": document.digest, **to_json(document)}
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def text(document: Document) -> bytes:
    """Plain text, for a terminal."""
    lines = [document.title, "", *(f"{name}: {value}" for name, value in _about(document))]
    for section in document.sections:
        lines += _text_of(section, 0)
    return ("\n".join(lines) + "\n").encode()


def _text_of(section: Section, level: int) -> Iterator[str]:
    yield from ("", ("# " if level == 0 else "## ") + section.title, "")
    for block in section.blocks:
        if isinstance(block, Paragraph):
            yield _plain(block.text)
        elif isinstance(block, Field):
            yield f"{block.label}: {_plain(block.value)}"
        else:
            for row in block.rows:
                cells = (f"{name}: {_plain(cell)}" for name, cell in zip(block.columns, row, strict=True) if cell != "")
                yield "- " + "; ".join(cells)
    for inner in section.sections:
        yield from _text_of(inner, level + 1)


def _plain(said: Text) -> str:
    return f"[open: {said.ask}]" if isinstance(said, Open) else said


def docx(document: Document) -> bytes:
    """A Word file; landscape, since its tables are wide. The same document gives the same octets."""
    word = Word()
    page = word.sections[0]
    page.orientation, page.page_width, page.page_height = WD_ORIENT.LANDSCAPE, page.page_height, page.page_width
    word.styles["Normal"].font.size = Pt(10)
    made = datetime.fromisoformat(document.made).replace(tzinfo=None)
    properties = word.core_properties
    properties.title, properties.author, properties.created, properties.modified = document.title, "", made, made
    word.add_heading(_xml(document.title), 0)
    _word_table(word, ("", ""), tuple(_about(document)))
    for section in document.sections:
        _word_section(word, section, 1)
    file = io.BytesIO()
    word.save(file)
    return _with_one_time(file.getvalue())


def _word_section(word: Any, section: Section, level: int) -> None:
    word.add_heading(_xml(section.title), min(level, 9))
    for block in section.blocks:
        if isinstance(block, Table):
            if block.title:
                word.add_paragraph().add_run(_xml(block.title)).bold = True
            _word_table(word, block.columns, block.rows)
            continue
        paragraph = word.add_paragraph()
        if isinstance(block, Field):
            paragraph.add_run(_xml(f"{block.label}: ")).bold = True
        _word_text(paragraph, block.value if isinstance(block, Field) else block.text)
        if block.source:
            paragraph.add_run(_xml(f" ({block.source})")).italic = True
    for inner in section.sections:
        _word_section(word, inner, level + 1)


def _word_table(word: Any, columns: tuple[str, ...], rows: tuple[tuple[Text, ...], ...]) -> None:
    table = word.add_table(rows=0, cols=len(columns))
    table.style = "Table Grid"
    if any(columns):
        for cell, name in zip(table.add_row().cells, columns, strict=True):
            cell.paragraphs[0].add_run(_xml(name)).bold = True
    for row in rows:
        for cell, said in zip(table.add_row().cells, row, strict=True):
            _word_text(cell.paragraphs[0], said)
    word.add_paragraph()


def _word_text(paragraph: Any, said: Text) -> None:
    run = paragraph.add_run(_xml(_plain(said)))
    if isinstance(said, Open):
        run.bold, run.font.color.rgb = True, _OPEN


def _xml(said: str) -> str:
    """Without control characters, which XML 1.0 has no way to write."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in said)


def _with_one_time(packed: bytes) -> bytes:
    """The same ZIP file with one time for all its members."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(packed)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            member = zipfile.ZipInfo(name)
            member.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(member, old.read(name))
    return out.getvalue()


def pdf(document: Document) -> bytes:
    """A PDF by Typst; its text comes from JSON, so that nothing in it can be taken for markup."""
    content = to_json(document) | {"about": [list(pair) for pair in _about(document)]}
    made = typst.compile(_TYPST.encode(), sys_inputs={"document": json.dumps(content)})
    assert isinstance(made, bytes)
    return made


_TYPST = """
#let document-data = json(bytes(sys.inputs.document))
#set document(title: document-data.title, date: none)
#set page(paper: "a4", flipped: true, margin: 1.8cm, numbering: "1 / 1")
#set text(size: 9.5pt, lang: "en")
#show heading: set block(above: 1.4em, below: .7em)
#let say(it) = if type(it) == dictionary { highlight(fill: rgb("#ffe9a8"))[Open: #it.open] } else { it }
#let source-of(it) = if it.source != "" [\\ #text(size: 8pt, style: "italic", it.source)]
#let grid-of(columns, rows) = {
  set text(size: 8.5pt)
  show table.cell: set par(justify: false)
  table(
    columns: (auto,) * columns.len(), stroke: .5pt + rgb("#9aa6ac"), inset: 4pt,
    fill: (_, y) => if y == 0 { rgb("#eef2f4") },
    table.header(..columns.map(name => strong(name))),
    ..rows.flatten().map(say),
  )
}
#let show-block(it) = {
  if "table" in it [
    #if it.table != "" { strong(it.table) }
    #grid-of(it.columns, it.rows)
  ] else if "field" in it {
    grid(columns: (30%, 70%), gutter: 6pt, strong(it.label), [#say(it.value) #source-of(it)])
  } else [
    #say(it.text) #source-of(it)

  ]
}
#let show-section(it, level) = {
  heading(level: level, it.title)
  for one in it.blocks { show-block(one) }
  for inner in it.sections { show-section(inner, level + 1) }
}
#text(size: 18pt, weight: "bold", document-data.title)

#for (name, value) in document-data.about {
  grid(columns: (30%, 70%), gutter: 6pt, strong(name), value)
}
#for section in document-data.sections { show-section(section, 1) }
"""

FORMS: dict[str, Callable[[Document], bytes]] = {
    ".html": html,
    ".docx": docx,
    ".pdf": pdf,
    ".json": as_json,
    ".txt": text,
}
"""How a document is rendered, by the ending of the file's name."""
