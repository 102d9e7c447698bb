"""What Discord doesn't draw becomes what it does; words stay, and code stays as it is."""

from __future__ import annotations

import pytest

from bot.core.domain import FinishReason, TextDelta
from bot.output.layout_table import width
from bot.output.pipeline import OutputPolicy, make_harmless
from tests.unit.output.helpers import GUARD, pipeline, versions


def clean(text: str) -> str:
    return make_harmless(text, policy=OutputPolicy(), secrets=GUARD)


def test_a_table_becomes_an_aligned_block() -> None:
    table = "Ages:\n| Name | Age |\n|---|--:|\n| **Ann** | 3 |\n| `Bo` | 12 |\n\nDone."
    assert clean(table) == ("Ages:\n```\nName | Age\n-----+----\nAnn  | 3\nBo   | 12\n```\n\nDone.")


def test_wide_characters_take_two_columns() -> None:
    shown = clean("| 城市 | n |\n|---|---|\n| 巴黎 | 1 |\n| Rome | 2 |")
    rows = shown.split("\n")[1:-1]
    assert {width(row.rpartition(" ")[0]) for row in rows if "-" not in row} == {6}


def test_a_table_that_is_too_wide_becomes_a_list() -> None:
    long = "a long sentence about it that fills much more than a line"
    shown = clean(f"| Name | About |\n| - | - |\n| **Ann** | {long} |\n| Bo | {long} |")
    assert shown == f"**Name · About**\n- **Ann** · About: {long}\n- Bo · About: {long}"


def test_a_template_token_stays_whole_in_a_cell() -> None:
    shown = clean("| token | use |\n|---|---|\n| <|im_end|> | ends |")
    assert shown == "```\ntoken      | use\n-----------+-----\n<|im_end|> | ends\n```"


def test_an_escaped_bar_in_the_code_of_a_cell_is_a_bar() -> None:
    shown = clean("| run | does |\n|---|---|\n| `ls \\| wc` | counts |")
    assert shown == "```\nrun     | does\n--------+-------\nls | wc | counts\n```"


def test_a_cell_in_a_block_has_no_marks_of_emphasis() -> None:
    shown = clean("| *a b* | _c_ |\n|---|---|\n| __init__ | 2*3*4 |\n| `_x_` | ***y*** |")
    assert shown == "```\na b      | c\n---------+------\n__init__ | 2*3*4\n_x_      | y\n```"


def test_the_stars_of_code_and_escaped_ones_stay_in_a_cell() -> None:
    table = "| a | b |\n|---|---|\n| `find . -name *test* -delete` | \\*note\\* and *this* |\n"
    assert "find . -name *test* -delete" in clean(table)
    assert "*note" in clean(table)
    assert " and this" in clean(table)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("`**bold**` **bold**", "**bold** bold"),
        ("`~~x~~` and ~~x~~", "~~x~~ and x"),
        ("`2**3` or **`b`**", "2**3 or b"),
        ("`` ` `` and ``x`y``", "` and x`y"),
        ("`` ``` ``", "`` `"),
    ],
)
def test_the_code_of_a_cell_keeps_its_signs(cell: str, expected: str) -> None:
    shown = clean(f"| a | b |\n|---|---|\n| {cell} | c |")
    assert shown.split("\n")[3].rpartition("|")[0].strip() == expected


def test_a_spoiler_in_a_cell_stays_hidden() -> None:
    table = "| a | b |\n|---|---|\n| ||hidden|| | x |\n| y | ||also this|| |"
    assert clean(table) == "**a · b**\n- ||hidden|| · b: x\n- y · b: ||also this||"
    assert clean("||a||b||\n|-|-|\n|`x||y`|2|").startswith("```\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\[ \text{Total} = $12 + $30 \]", "Total = $12 + $30"),
        (r"\[ f(x) = \begin{cases} 1 & \text{if $x > 0$} \end{cases} \]", "if $x > 0$"),
    ],
)
def test_dollar_signs_stand_in_formulas_in_brackets(text: str, expected: str) -> None:
    assert expected in clean(text)
    assert "\\[" not in clean(text)


@pytest.mark.parametrize("size", [1, 9, 1000])
def test_the_source_of_a_document_in_latex_stays_as_it_is(size: int) -> None:
    text = "\\documentclass{article}\n\\begin{document}\nLet $x \\in A$ and\n\\[ x^2 = 4 \\]\n\\end{document}"
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert versions(pipeline(), pieces)[-1] == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\\begin{equation}\nE = mc^2\n\\end{equation}", "E = mc²"),
        (
            "So:\n\\begin{align*}\na &= b + c \\\\\n  &= d\n\\end{align*}",
            "So:\n\n```\na = b + c\n= d\n```",
        ),
        (
            "\\begin{align}\nx &= 1 \\label{a}\n\\end{align}",
            "```tex\n\\begin{align}\nx &= 1 \\label{a}\n\\end{align}\n```",
        ),
        (
            "\\begin{alignat*}{2}\na &= b & \\quad c &= d\n\\end{alignat*}",
            "a = b c = d",
        ),
        ("\\begin{align} starts the rows, \\end{align} ends them.", None),
        ("Use \\begin{align} x \\end{align} there.", None),
        ("\\begin{tabular}{l}\na\n\\end{tabular}", None),
        ("```\n\\begin{align} x \\end{align}\n```", None),
        ("\\begin{equation}\nx = 1\n\nAnd so on.", None),
    ],
)
@pytest.mark.parametrize("size", [1, 9, 1000])
def test_an_environment_of_formulas_needs_no_brackets_around_it(
    text: str, expected: str | None, size: int
) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert versions(pipeline(), pieces)[-1] == (text if expected is None else expected)


@pytest.mark.parametrize("before", ["", "Here:\n", "Two words | more\n\n"])
@pytest.mark.parametrize("after", ["", "\n", "\n\nDone.", "\nnot a row"])
def test_a_table_without_bars_in_front_becomes_a_block(before: str, after: str) -> None:
    text = f"{before}Name | Age\n:--- | ---:\n**Ann** | 3\n`Bo` | 12{after}"
    shown = f"{before}```\nName | Age\n-----+----\nAnn  | 3\nBo   | 12\n```{after}".rstrip()
    assert clean(text) == shown
    for pieces in ([text], list(text)):
        assert versions(pipeline(), pieces)[-1] == shown


@pytest.mark.parametrize("bar", ["| ", ""])
def test_a_table_grows_row_by_row(bar: str) -> None:
    target = pipeline()
    rows = ["Ages:", f"{bar}Name | Age", f"{bar}---|--:", f"{bar}Ann | 3", f"{bar}Caroline | 12"]
    seen = []
    for row in rows:
        target.feed(TextDelta(f"{row}\n"))
        seen.append(target.text_so_far)
    assert seen[:3] == ["Ages:"] * 3
    assert seen[3] == "Ages:\n```\nName | Age\n-----+----\nAnn  | 3\n```"
    assert seen[4] == "Ages:\n```\nName     | Age\n---------+----\nAnn      | 3\nCaroline | 12\n```"
    target.close(FinishReason.STOP)
    assert target.text == target.text_so_far == seen[4]


def test_a_table_alone_is_shown_from_its_first_row_on() -> None:
    target = pipeline()
    table = ("| a | b |\n|---|---|\n", "| @everyone | [x](https://evil.example) |\n| 1")
    seen = []
    for piece in table:
        target.feed(TextDelta(piece))
        seen.append(target.has_text)
    assert seen == [False, True]
    assert target.text_so_far == "**a · b**\n- @\u200beveryone · b: x (https://evil.example)"


@pytest.mark.parametrize(
    "text",
    [
        "Use grep a | wc -l to count.\nThen sort | uniq -c.",
        "a | b\n---\nc | d",
        "a | b | c\n---|---\n1 | 2",
        "- a | b\n- c | d",
        "p(a|b)\n\nis |a| <= |b|",
        "a | b\n---|",
    ],
)
def test_a_bar_makes_no_table(text: str) -> None:
    assert clean(text) == text
    assert versions(pipeline(), list(text))[-1] == text


def test_a_table_in_a_quote_becomes_a_list_in_the_quote() -> None:
    assert clean("> | a | b |\n> |---|---|\n> | 1 | 2 |\n\nx") == "> **a · b**\n> - 1 · b: 2\n\nx"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#### Title\nx", "**Title**\nx"),
        ("a\n##### **Title** ##\nx", "a\n**Title**\nx"),
        ("### Title", "### Title"),
        ("- #### Item\n1. ##### N\n> - ###### `q`", "- **Item**\n1. **N**\n> - `q`"),
        ("- # Item\n- ####x\n- #hash\n-#### no", None),
        ("####Title", "####Title"),
        ("#### C# and F#\n#### C# ##\n#### #\n#### **", "**C# and F#**\n**C#**\n#\n**"),
        ("#### Use `#include`\n#### \\(x^2\\) is $y_1$", "**Use `#include`**\n**x² is y₁**"),
        ("- | A | B |\n  |---|---|\n  | 1 | 2 |\n- x", "- **A · B**\n  - 1 · B: 2\n- x"),
        ("> 1. | A |\n>    |---|\n>    | 1 |", "> 1. **A**\n>    - 1"),
        ("- | x |\n- |y| is 3\n- ||no||", None),
        (
            r"So \boxed{42}, **\boxed{\frac{x}{2}}** and \boxed{\text{Yes}}.",
            "So 42, **x/2** and Yes.",
        ),
        (r"Put it in \boxed{}, \boxed{...} or `\boxed{1}`; \box \boxed{a", None),
        (r"\(\begin{Bmatrix} a & b \\ c & d \end{Bmatrix}\)", "`{a b; c d}`"),
        (r"$\left. \frac{dy}{dx} \right|_{x=0}$, $\mathbb{E}[X]$", "dy/dx |ₓ₌₀, 𝔼[X]"),
        (
            r"\(\ce{2H2 + O2 -> 2H2O}\), \(\textcolor{red}{x} \longmapsto y\)",
            "2H₂ + O₂ → 2H₂O, x ⟼ y",
        ),
        (r"$$x = 1 \tag{2}$$", "x = 1 (2)"),
        ("> \\[\n> x = \\frac{1}{2}\n> \\]\n> y", "> x = 1/2\n> y"),
        (
            "> So: $$\\begin{aligned}\n> a &= b \\\\\n> c &= d\n> \\end{aligned}$$\ny",
            "> So: ```\n> a = b\n> c = d\n> ```\ny",
        ),
        ("$2$, $-3$, $3/4$ of $2x$; $50\\%$, $n!$", "2, -3, 3/4 of 2x; 50%, n!"),
        ("$x \\not\\in A$, $\\dbinom{n}{k}$, $x$/$y$", "x ∉ A, C(n, k), x/y"),
        ("$5 and $10, 8$ or 9$; $1$2 $6$salt$hash $2b$12$abc s/$1$/x/", None),
        (r"\( -f(x) \), \( -x + y \) and \(-ab \cdot c\)", "-f(x), -x + y and -ab · c"),
        (r"So \(x^2 + \alpha_1\) it is", "So x² + α₁ it is"),
        (r"\[\frac{a+b}{2} \le \sqrt{c}\]", "(a+b)/2 ≤ √c"),
        ("$$E = mc^2$$", "E = mc²"),
        ("$$x > 0$$ and $5 or $6", "x > 0 and $5 or $6"),
        (r"\(\unknown{a}\)", r"`\unknown{a}`"),
        (r"\(e^{i\pi} + x_{1,2}\)", "`e^(iπ) + x_(1,2)`"),
        (r"\(\frac{-b \pm \sqrt{b^2-4ac}}{2a}\)", "(-b ± √(b²-4ac))/(2a)"),
        (r"\(\sqrt[3]{8} = 2,\ \sqrt[n]{x}\)", "∛8 = 2, ⁿ√x"),
        (r"\(\log_2 n \to \Delta t, 2\pi r\)", "log₂ n → Δt, 2πr"),
        (r"\[A = \begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}\]", "A = (1 2; 3 4)"),
        (
            "\\[\\begin{aligned} a &= b \\\\ &= c \\end{aligned}\\]",
            "```\na = b\n= c\n```",
        ),
        (r"\(P(A \mid B), \vec{v}, \lfloor x \rfloor, \frac12\)", "P(A | B), v⃗, ⌊ x ⌋, 1/2"),
        (r"\(a \equiv b \pmod{5}, x \notin A \cup B \blacksquare\)", "a ≡ b (mod 5), x ∉ A ∪ B ■"),
        (r"\(f \hookrightarrow g, \bigcup_{i} A_i, \nexists x\)", "f ↪ g, ⋃ᵢ Aᵢ, ∄ x"),
        ("`\\(x^2\\)` and ```\n$$x^2$$\n#### a\n| a |\n|---|\n```", None),
        ("~~~py\nx = '```'\n~~~\nend", "```py\nx = '`` `'\n```\nend"),
        ("````md\n```py\nx\n```\n````\nend", "```md\n`` `py\nx\n`` `\n```\nend"),
        (
            "```markdown\n# T\n```py\nx\n```\n\n  ```sh\ny\n```\nmore\n```\n$$x^2$$",
            "```markdown\n# T\n`` `py\nx\n`` `\n\n  `` `sh\ny\n`` `\nmore\n```\nx²",
        ),
        ("```md\n# A\n```\n$$x^2$$\n```py\ny\n```", "```md\n# A\n```\nx²\n```py\ny\n```"),
        ("Write (```) or “```”.\n#### T", "Write (\\`\\`\\`) or “\\`\\`\\`”.\n**T**"),
        ("(```x``` and ```\ny\n```)", None),
        ("~~gone~~ and ~~~", None),
        ("Let $f(x) = x^2$ and $n$; then $\\pi r$.", "Let f(x) = x² and n; then πr."),
        ("$5 and $6, US$7, 8$ or 9$, $HOME/$USER, $a = $b, $PATH", None),
        ("`$x_1$` and \\$x_1$", None),
        ("|a|b|\n|-|-|\n|\\(x^2\\)|$y_1$ $5|", "```\na  | b\n---+------\nx² | y₁ $5\n```"),
        ("pyte.streams\n~~~~~~~~~~~~\n\nThis is $$ and `x`.", None),
        ("a | b\nc || d", None),
        ("| not a table |\nbut text", None),
    ],
)
def test_what_discord_does_not_draw_becomes_readable(text: str, expected: str | None) -> None:
    assert clean(text) == (text if expected is None else expected)


@pytest.mark.parametrize("size", [81, 200, 5000])
def test_a_run_of_backticks_without_end_is_one_fence(size: int) -> None:
    ticks = "`" * size
    assert clean(f"a {ticks}b{ticks} c") == "a ```b``` c"
    whole = pipeline()
    assert versions(whole, [f"a {ticks[:50]}", ticks[50:], "b c"])[-1] == "a ```b c\n```"


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("नमस्ते", 4),
        ("สวัสดี", 4),
        ("مرحبا", 5),
        ("한국어", 6),
        ("👋🏽", 2),
        ("👨\u200d👩\u200d👧", 2),
        ("❤️", 2),
    ],
)
def test_what_joins_the_character_before_it_takes_no_column(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write `` ```py `` first, then $x^2$.", "Write `` ```py `` first, then x²."),
        (
            '```py\nif line.startswith("```"):\n    pass\n```\nDone \\(x^2\\).',
            '```py\nif line.startswith("`` `"):\n    pass\n```\nDone x².',
        ),
        ("```\nls -la``` lists \\(x^2\\).", "```\nls -la``` lists x²."),
        ("> ~~~\n> a\n> ~~~\n> b", "> ```\n> a\n> ```\n> b"),
        ("1. ~~~ py\n   \\(a\\)\n   ~~~\n\n\\(x^2\\)", "1. ```py\n   \\(a\\)\n   ```\n\nx²"),
        ("a ` b: ```py\n\\(a\\)\n```\n\\(x^2\\)", "a ` b: ```py\n\\(a\\)\n```\nx²"),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_what_is_code_is_one_reading_for_all(text: str, expected: str, size: int) -> None:
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    assert versions(pipeline(), pieces)[-1] == expected


@pytest.mark.parametrize(
    "text",
    [
        "if length($$a) < 3; say $$b or die",
        "$h{x}=1; $h{y}=$_;",
        "$a{$b}=$c; $d=${e}",
        r"$text =~ s/^(<\w+)\s+>$/$1>/ if $edited;",
        'mask=$(awk \'/^UMASK/{gsub("#.*$", "", $2); print $2}\' /etc/login.defs)',
        "$DAEMON $QUIET_SYSCTL --system || STATUS=$?",
        "if ($which =~ /^(Stub|TermCap|Tk)$/) {",
        "user=$(user), user.display=$(user.display)",
        '$file = "/tmp/reply.$$"; unlink "$$.lock";',
        "kill -0 $$; echo $$",
        "AS $$ SELECT 1 $$ LANGUAGE sql",
        "$$$ vs $$ restaurants: $ cheap, $$ mid",
        r"Use \[ ... \] for display, \( … \) for inline, or $$...$$ alone.",
        "AS $$\nBEGIN\n  x = 1;\nEND;\n$$ LANGUAGE plpgsql;",
        "/^a$|^b$/ finds either line.",
        "sed 's/$/x/' a; sed 's/^$//' b",
        'sum="$source_dir/$(basename x).md5"; old="$source_dir/$(basename y)"',
    ],
)
def test_variables_of_a_program_are_no_formula(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    "text",
    [
        r"sed -e 's/^URL:\(.*\)$/\1/' -e 's/0\([0-9]\)/\1/g'",
        r"-e 's/\[/\n/g' -e 's/\]/\n/g'",
        r"systemd\[[[:digit:]]+\]: Closed",
        r"where '\(A\|B\)' is either of them",
        r"See \[1\] and \[sic\]; \[x\] is done.",
        r"The tap drips \(see below\).",
        r"C:\Program Files \(x86\)\Steam",
        r"if [ \( -f a \) -o \( -d \"b\" \) ]; then",
        r"| \(see below\) | $HOME_X $ |",
    ],
)
def test_escaped_brackets_of_a_text_are_no_formula(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"$P(A|B) = 1$, $f(x; \theta)$ and $x \in A,$", "P(A|B) = 1, f(x; θ) and x ∈ A,"),
        (r"\(3 + 4\), \(n\), \(a, b\) and \(5\) cm", "3 + 4, n, a, b and 5 cm"),
        (r"\[ a + b > c \]", "a + b > c"),
        (r"其中\(x\)是 **\(x = 5\)**", "其中x是 **x = 5**"),
        (r"$$ RMSE = \sqrt{x} $$", "RMSE = √x"),
        (r"\(\text{Speed} = \frac{d}{t}\), $\{1, 2\}$", "Speed = d/t, `{1, 2}`"),
    ],
)
def test_a_formula_without_any_command_is_one_where_it_can_be_nothing_else(
    text: str, expected: str
) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("|---|---|\n|---|---|", "|---|---|\n|---|---|"),
        ("| | |\n|---|---|\n| | |", "| | |\n|---|---|\n| | |"),
        ("|---|---|\n| a | b |\n| c | de |", "```\na | b\nc | de\n```"),
        ("| | |\n|---|---|\n| a | b |", "```\na | b\n```"),
    ],
)
def test_a_table_without_a_header_or_any_words_is_drawn_without_them(
    table: str, expected: str
) -> None:
    assert clean(table) == expected


def test_a_long_table_is_drawn_in_whole_rows_however_it_is_cut() -> None:
    rows = [f"| row {number} | {'y' * (number % 7)} |\n" for number in range(300)]
    table = "| name | value |\n|---|---|\n" + "".join(rows)
    for size in (7, 100, len(table)):
        pieces = [table[start : start + size] for start in range(0, len(table), size)]
        lines = versions(pipeline(), pieces)[-1].split("\n")
        assert [line.split(" |")[0].rstrip() for line in lines if line.startswith("row")] == [
            f"row {number}" for number in range(300)
        ]
        assert not any(line.startswith("|") for line in lines)
