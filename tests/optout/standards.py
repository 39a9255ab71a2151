"""``python -m tests.optout.standards FOLDER…``: holds what an answer is read as to other people's test files.

Reads what it finds of web-platform-tests (content-types.json, mime-types.json, generated-mime-types.json) and of
html5lib-tests (encoding/**.dat, tokenizer/*.test, tree-construction/*.dat). Prints for each kind how many cases come
out right, and each that does not. Exit code 1 if one of the standards' own (media types) does not.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import turbohtml

from forbear.optout.model import Capture
from forbear.optout.readers import mime, representation

_NAMESPACES = {turbohtml.Namespace.SVG: "svg ", turbohtml.Namespace.MATHML: "math "}
_STATES = {"Data state": "", "RCDATA state": "title", "RAWTEXT state": "style", "Script data state": "script",
           "PLAINTEXT state": "plaintext"}  # fmt: skip
_SECTIONS = ("#data", "#errors", "#new-errors", "#document-fragment", "#script-off", "#script-on", "#document",
             "#encoding")  # fmt: skip
Outcome = tuple[str, Any, Any]
"""An input, what it has to come to, what it comes to."""


def content_types(path: Path) -> Iterator[Outcome]:
    """Fetch standard, "extract a MIME type"."""
    for case in json.loads(path.read_text("utf-8")):
        found = mime.extract(mime.valid(case["input"]))
        yield repr(case["input"]), case["mimeType"], found and str(found)


def mime_types(path: Path) -> Iterator[Outcome]:
    """MIME Sniffing 4.4, 4.5."""
    for case in json.loads(path.read_text("utf-8")):
        if isinstance(case, dict):
            found = mime.parse(case["input"])
            yield repr(case["input"]), case["output"], found and str(found)


def encodings(path: Path) -> Iterator[Outcome]:
    """HTML 13.2.3.2. A page that states none is guessed at: where the cases want the default, they are left out."""
    for case in _cases(path.read_bytes().decode("latin-1")):
        page = case["#data"].encode("latin-1")
        known = representation.of(Capture("https://a.example/", 200, (("Content-Type", "text/html"),), page))
        wanted = representation.encoding_of(case["#encoding"].strip())
        if wanted != "windows-1252" or known._in_markup():
            yield repr(page), wanted, known.encoding


def tokens(path: Path) -> Iterator[Outcome]:
    """HTML 13.2.5. States that no element leads to are left out, and how violations of XML are to be mended."""
    for case in json.loads(path.read_text("utf-8")).get("tests", []):
        text, wanted = case["input"], case["output"]
        if case.get("doubleEscaped"):
            text, wanted = _unescaped(text), _unescaped(wanted)
        if re.search("[\ud800-\udfff\r]", text):
            continue  # no text that was decoded has them
        for state in case.get("initialStates", ["Data state"]):
            name = _STATES.get(state)
            if name is not None and case.get("lastStartTag", name) in (name, ""):
                opened = f"<{name}>" if name else ""
                yield f"{state}: {text!r}", _joined(wanted), _joined(_tokens(opened + text)[bool(opened) :])


def _unescaped(written: Any) -> Any:
    if isinstance(written, str):
        return re.sub(r"\\u([0-9A-Fa-f]{4})", lambda match: chr(int(match[1], 16)), written)
    if isinstance(written, dict):
        return {_unescaped(name): _unescaped(value) for name, value in written.items()}
    return [_unescaped(each) for each in written] if isinstance(written, list) else written


def _tokens(text: str) -> list[list[Any]]:
    kinds = turbohtml.TokenType
    found: list[list[Any]] = []
    for token in turbohtml.tokenize(text):
        if token.type is kinds.START_TAG:
            attributes: dict[str, str] = {}
            for name, value in token.attrs or ():
                attributes.setdefault(name, value or "")
            found.append(["StartTag", token.tag, attributes, *([True] if token.self_closing else [])])
        elif token.type is kinds.END_TAG:
            found.append(["EndTag", token.tag])
        elif token.type in (kinds.COMMENT, kinds.PROCESSING_INSTRUCTION):
            found.append(["Comment", token.data])
        elif token.type is kinds.DOCTYPE:
            found.append(["DOCTYPE", token.name or None, token.public_id, token.system_id, not token.force_quirks])
        else:
            found.append(["Character", token.data])
    return found


def _joined(tokens: list[list[Any]]) -> list[list[Any]]:
    joined: list[list[Any]] = []
    for token in tokens:
        if token[0] == "Character" and joined and joined[-1][0] == "Character":
            joined[-1] = ["Character", joined[-1][1] + token[1]]
        else:
            joined.append(token)
    return joined


def trees(path: Path) -> Iterator[Outcome]:
    """HTML 13.2.6. Fragments are left out: an answer is a document."""
    for case in _cases(path.read_bytes().decode()):
        if "#document-fragment" in case or "#document" not in case:
            continue
        for scripting in [False] if "#script-off" in case else [True] if "#script-on" in case else [False, True]:
            document = turbohtml.parse(case["#data"], scripting=scripting, allow_declarative_shadow_roots=False)
            yield repr(case["#data"]), case["#document"].rstrip("\n"), "\n".join(_lines(document, 0))


def _lines(node: turbohtml.Node, depth: int) -> Iterator[str]:
    indent = "| " + "  " * depth
    for child in node.children:
        if isinstance(child, turbohtml.Element):
            space = _NAMESPACES.get(child.namespace, "")
            yield f"{indent}<{space}{child.tag}>"
            for name, value in sorted(child.attrs.items()):
                shown = re.sub("^(xlink|xml|xmlns):", r"\1 ", name) if space else name
                yield f'{indent}  {shown}="{" ".join(value) if isinstance(value, list) else value or ""}"'
            if child.tag == "template" and not space:
                yield f"{indent}  content"
            yield from _lines(child, depth + (2 if child.tag == "template" and not space else 1))
        elif isinstance(child, turbohtml.Doctype):
            ids = f' "{child.public_id or ""}" "{child.system_id or ""}"'
            yield f"{indent}<!DOCTYPE {child.name or ''}{ids if child.public_id or child.system_id else ''}>"
        elif isinstance(child, turbohtml.Comment):
            yield f"{indent}<!-- {child.data} -->"
        elif isinstance(child, turbohtml.Text):
            yield f'{indent}"{child.data}"'
        else:
            yield from _lines(child, depth)


def _cases(text: str) -> Iterator[dict[str, str]]:
    """The sections of each case of a .dat file."""
    for block in re.split(r"(?:^|\n)(?=#data\n)", text):
        case: dict[str, list[str]] = {}
        at = ""
        for line in block.split("\n"):
            if line in _SECTIONS:
                at = line
                case[at] = []
            elif at:
                case[at].append(line)
        if "#data" in case:
            yield {name: "\n".join(lines) for name, lines in case.items()}


KINDS: tuple[tuple[str, str, Callable[[Path], Iterator[Outcome]]], ...] = (
    ("web-platform-tests, extract a MIME type", "**/content-types.json", content_types),
    ("web-platform-tests, parse a MIME type", "**/mime-types.json", mime_types),
    ("web-platform-tests, generated MIME types", "**/generated-mime-types.json", mime_types),
    ("html5lib-tests, encoding", "**/encoding/**/*.dat", encodings),
    ("html5lib-tests, tokenizer", "**/tokenizer/*.test", tokens),
    ("html5lib-tests, tree construction", "**/tree-construction/*.dat", trees),
)


def main() -> int:
    """Returns 1 if a case of the media types is wrong, 2 if there is no case."""
    folders = [Path(word) for word in sys.argv[1:]]
    wrong, cases = 0, 0
    for what, pattern, read in KINDS:
        outcomes = [one for folder in folders for path in sorted(folder.glob(pattern)) for one in read(path)]
        bad = [one for one in outcomes if one[1] != one[2]]
        for shown, wanted, found in bad:
            print(f"{what}: {shown}\n  is to be {wanted!r}\n  and is   {found!r}")
        print(f"{what:<44}{len(outcomes) - len(bad):>6} of {len(outcomes)}")
        cases += len(outcomes)
        wrong += len(bad) if "MIME" in what else 0
    return 2 if not cases else int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
