"""Records what the reference makes of values, so that tests can compare: chaostoolkit-lib 1.44.0, jsonpath2 0.4.5, Python 3.11.

    python record.py     writes the .json files beside it
"""
import itertools
import gzip
import json
import pathlib
import socket
import threading
import zlib

from chaoslib import convert_to_type, substitute
from chaoslib.exceptions import InvalidActivity
from chaoslib.hypothesis import ensure_hypothesis_tolerance_is_valid, within_tolerance
from chaoslib.provider.http import run_http_activity

HERE = pathlib.Path(__file__).parent


def write(name, rows):
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


def outcome(function, *args):
    """What it gives, or the kind of exception."""
    try:
        return {"gives": function(*args)}
    except BaseException as error:  # every way to end is of interest
        return {"raises": type(error).__name__}


# ---- ${name}
CONFIGURATION = {
    "a": "x", "n": 1, "f": 1.0, "t": True, "z": None, "l": [1, "a'b", None], "d": {"k": "v\n", "é": 1.5e16},
    "d_": "deep", "e": 1e-5, "big": 1e22, "q": "it's \"q\"", "A1": "upper", "again": "${a}",
}
SECRETS = {"g": {"s": "hush", "a": "other"}, "h": {"s2": {"x": 1}}}
TEMPLATES = [
    "${a}", "$a", "${n}", "$n", "v=${n}", "${f}!", "${t}!", "$t", "${z}", "${z}.", "${l}", "<${l}>", "<${d}>", "${d}",
    "$$", "$$a", "$${a}", "${missing}", "$missing and ${a}", "${a", "$", "$ a", "${a}${n}", "${ a }", "${a.b}", "$a.b",
    "$é", "${s}", "-$s-", "${s2}", "${g}", "$d_x", "$d_", "${e}|$big", "$1", "${1}", "${A}", "", "${q}<$q>", "$l$$$l",
    "${a}\n", "${}", "$${", "{$a}", "$a$", "${A1}", "${again}", "${a}-é-${a}", "$aé", "$$$a", "$$$$", "${a}}", "${{a}}",
    ["${a}", {"${a}": "$n", "k": ["${l}", 1, None, True]}], {"k": "${d}", "j": {"i": "$a"}}, 5, None, True, [], {},
]
write("substitute.json", [
    {"configuration": CONFIGURATION, "secrets": SECRETS},
    *({"template": template, "gives": substitute(template, CONFIGURATION, SECRETS)} for template in TEMPLATES),
])

# ---- str() and repr()
VALUES = [
    None, True, False, 1, -1, 0, 1.0, -0.0, 0.1, 1e15, 1e16, 1.5e16, 123456789012345680.0, 1e-4, 1e-5, 1.25e-7, 1e22,
    1e100, 5e-324, 1.7976931348623157e308, 9007199254740993, 18446744073709551615, -9223372036854775808, "a", "it's", '"',
    "'\"", "\\", "\n\t\r\x00\x1b\x7f\x80\xa0\xad", "é☃", "\u200b\u2028\ufeff", "\u0301", "😀", "\U000e0001", "\ue000",
    "\u0378", "ǰ", "", [], {}, [[], {}], {"a": [1, {"b": None}]}, {"it's": "'"},
]
write("text.json", [{"value": value, "str": str(value), "repr": repr(value), "bool": bool(value)} for value in VALUES])

# ---- == and <=
COMPARED = [
    None, True, False, 0, 1, 1.0, 1.5, 9007199254740993, 9007199254740992.0,
    18446744073709551615, 1.8446744073709552e19, -1e300, "", "1", "ab", "😀", "\uffff", [], [1],
    [True], [1, 2], [1, "a"], ["a"], [[1]], [None], {}, {"a": 1}, {"a": 1.0}, {"a": 1, "b": 2},
    {"b": 2, "a": 1},
]
write("order.json", [
    {"left": left, "right": right, "equal": left == right, **outcome(lambda: left <= right)}
    for left, right in itertools.product(COMPARED, COMPARED)
])

# ---- env_var_type
CONVERTED = ["", "1", " 12 ", "-3", "+4", "1_000", "1__0", "_1", "0x1", "1.5", "1e3", "1_0.5", ".5", "5.", "abc", "true",
             "False", "NO", "no", "0", "off", '{"a": [1]}', "[1", "null", None, 5, 5.9, -5.9, True, False, [1], {}]
write("convert.json", [
    {"type": kind, "value": value, **outcome(convert_to_type, kind, value)}
    for kind in (None, "str", "string", "int", "integer", "float", "number", "bool", "json", "date")
    for value in CONVERTED
])

# ---- tolerances
HTTP = {"status": 200, "headers": {"A": "b"}, "body": {"items": [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}], "ok": True}}
PROCESS = {"status": 0, "stdout": "ready: 3 of 3\n", "stderr": ""}
OUTPUTS = [None, True, False, 0, 1, 5, 1.0, 4.5, "", "5", "ready", "ready: 3 of 3\n", "0.1", " 7 ", "NaN", "1_0", "-inf",
           '{"n": 5}', [], [1], [1, 2], ["a"], {}, {"status": 200}, {"n": 5}, {"stdout": 4}, HTTP, PROCESS]
TOLERANCES = [
    True, False, 0, 1, 200, 5, 1.0, 0.1, None, "", "ready", "5", [], [200], [200, 201], [1, 5], [200, 201, 404],
    [1, 5, 7], ["a", "z"], ["5", "ready", "x"], [[1, 2], 1, 1], [True, 1, 2], [5, 1], [None, 1], [0.5, 5.5],
    {"type": "regex", "pattern": "^ready"}, {"type": "regex", "pattern": "3 of 3$", "target": "stdout"},
    {"type": "regex", "pattern": "(?P<n>[0-9]+) of (?P=n)", "target": "stdout"}, {"type": "regex", "pattern": "\\d"},
    {"type": "regex", "pattern": "(?i)READY(?=:)", "target": "stdout"}, {"type": "regex", "pattern": ""},
    {"type": "regex", "pattern": "x", "target": "nope"}, {"type": "regex", "pattern": "3\\Z", "target": "stdout"},
    {"type": "jsonpath", "path": "$.body.items[*].n"}, {"type": "jsonpath", "path": "$.items[*].n", "target": "body"},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "expect": [1, 2]},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "expect": [2, 1]},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "count": 2},
    {"type": "jsonpath", "path": "$.items[*].n", "target": "body", "count": 1, "expect": [1.0, 2]},
    {"type": "jsonpath", "path": "$.ok", "target": "body", "expect": 1}, {"type": "jsonpath", "path": "$.n"},
    {"type": "jsonpath", "path": "$.n", "expect": 5}, {"type": "jsonpath", "path": "$.n", "count": 0},
    {"type": "jsonpath", "path": "$.nope", "count": 0, "target": "body"}, {"type": "jsonpath", "path": "$"},
    {"type": "jsonpath", "path": "$", "expect": []}, {"type": "jsonpath", "path": "$.status", "expect": [200]},
    {"type": "jsonpath", "path": "$.status", "expect": None}, {"type": "jsonpath", "path": "$..n", "count": 2.0},
    {"type": "range", "range": [0, 5]}, {"type": "range", "range": [0.1, 4.5]}, {"type": "range", "range": [5, 0]},
    {"type": "range", "range": [0, 200], "target": "status"}, {"type": "range", "range": [0, 9], "target": "stdout"},
    {"type": "range", "range": [True, 7]}, {"type": "range", "range": [-1e300, 1e300]},
]


def shape(tolerance):
    try:
        ensure_hypothesis_tolerance_is_valid(tolerance)
        return {"valid": True}
    except InvalidActivity:
        return {"valid": False}
    except Exception as error:
        return {"raises": type(error).__name__}


def within(tolerance, value):
    result = outcome(within_tolerance, tolerance, value)
    # A tolerance of a type that nobody registered gives nothing, which counts as not met.
    return {"gives": bool(result["gives"])} if "gives" in result else result


write("within.json", [
    {"tolerance": tolerance, "value": value, **within(tolerance, value)}
    for tolerance in TOLERANCES for value in OUTPUTS
])

SHAPES = TOLERANCES + [
    {}, {"type": "other"}, {"type": None}, {"type": "regex"}, {"type": "regex", "pattern": 5}, {"type": "regex", "pattern": "("},
    {"type": "regex", "pattern": "(?<=a|bc)x"}, {"type": "regex", "pattern": "a{2,1}"}, {"type": "regex", "pattern": "[a"},
    {"type": "regex", "pattern": "a**"}, {"type": "regex", "pattern": "\\Z"}, {"type": "regex", "pattern": "(?P=x)"},
    {"type": "regex", "pattern": None}, {"type": "jsonpath"}, {"type": "jsonpath", "path": ""},
    {"type": "jsonpath", "path": "   "}, {"type": "jsonpath", "path": "$["}, {"type": "jsonpath", "path": 5},
    {"type": "jsonpath", "path": "a.b"}, {"type": "range"}, {"type": "range", "range": "1-2"},
    {"type": "range", "range": [1]}, {"type": "range", "range": [1, 2, 3]}, {"type": "range", "range": ["1", 2]},
    {"type": "range", "range": [1, "2"]}, {"type": "range", "range": [1, None]},
]
write("shape.json", [{"tolerance": tolerance, **shape(tolerance)} for tolerance in SHAPES])

# ---- jsonpath
STORE = {
    "store": {"book": [{"category": "ref", "price": 8.95, "title": "A"}, {"category": "fic", "price": 12, "title": "B b"},
                       {"category": "fic", "price": 8, "isbn": "0-5", "title": "C"}], "bicycle": {"color": "red", "price": 19.95}},
    "a-b": 1, "it's": 2, "empty": [], "nested": [[1, 2], [3, [4]]], "n": None, "t": True, "one": 1, "s": "hello",
    "and": {"or": 1, "length": 7}, "idx": 1, "key": "one", "esc": {"a\\nb": 5, "é": 6}, "_u1": 9,
}
PATHS = [
    "$", "$.store", "$.store.book[*].title", "$..title", "$..*", "$.*", "$.store.*", "$.store.book[0].title",
    "$.store.book[-1].title", "$.store.book[5]", "$.store.book[-5]", "$.store.book[0,2].title", "$.store.book[0:2].title",
    "$.store.book[1:].title", "$.store.book[:1].title", "$.store.book[::2].title", "$.store.book[::-1].title",
    "$.store.book[-2:].title", "$.store.book[-9:].title", "$.store.book[:-1].title", "$.store.book[2:0:-1].title", "$.store.book[::0]",
    "$.store.book[*][?(@.price < 10)].title", "$.store.book[?(@.price < 10)].title", "$.store.book[*][?(@.isbn)].title",
    "$.store.book[*][?(not @.isbn)].title", '$.store.book[*][?(@.category = "fic")].title',
    '$.store.book[*][?(@.category == "fic")].title', "$.store.book[*][?(@.category = 'fic')].title",
    '$.store.book[*][?(@.category = "fic" and @.price > 8)].title', '$.store.book[*][?(@.price = 8 or @.price = 12 and @.isbn)].title',
    '$.store.book[*][?(@.isbn and @.price = 8 or @.price = 12)].title', '$.store.book[*][?(not (@.price >= 12))].title',
    "$.store.book[*][?(not not @.isbn)].title", "$.store.book[*][?(@.price != 8)].title", "$.store.book[*][?(8 <= @.price)].title",
    "$.store.book[*][?($.one = 1)].title", "$.store.book[*][?(true)].title", "$.store.book[*][?(false)].title",
    '$.store.book[*][?("")].title', "$.store.book[*][?(0)].title", "$.store.book[*][?([])].title", "$.store.book[*][?({})].title",
    '$["a-b"]', "$['a-b']", "$.a-b", '$["it\'s"]', "$.nested[*][*]", "$.nested[0][1]", "$.nested..[0]", "$..[0]", "$.n", "$.t",
    "$.empty[*]", "$.empty[0]", "$.missing", "$.store.book.length()", "$.store.book[length()]", "$.s.length()", "$.store.length()",
    "$.store.keys()", "$.store.keys()[*]", "$.nested.keys()", "$.nested.entries()", "$.and.entries()", "$.and.values()", "$.nested.values()",
    "$.s.charAt(1)", "$.s.charAt(-1)", "$.s.charAt(9)", '$.s.charAt("a")', "$.s.charAt(true)", "$.s.substring(1)", "$.s.substring(1,3)",
    "$.s.substring(-3)", "$.s.substring(3,1)", "$.s.charAt($.idx)", "$.s.substring(@.x)", "$.s.length(1)", "$.s.nope()", "$.length",
    "$.s[charAt(0)]", "$.store.book[$.idx].title", "$[$.key]", "$[@.key]", "$.store.book[@.length()]", "$.store.book[$.t]",
    "$.and.or", "$.store.book[*].title[*]", "$.s[0]", "$.s[*]", "$.esc.é", '$.esc["a\\nb"]', '$.esc["é"]', "$.esc[*]", "$._u1",
    "$ . store . bicycle", "$.store\n.bicycle.color", " $.one ", "$.", "$..", "$...a", "$[]", "$[", "$]", "$[1.5]", "$[1e2]", "$[01]", "$[-0]",
    "$.store.book[?(@.price)]", "$.store.book[?@.price]", "@", "@.one", "store", "", "$$", "$.store.book[1,]", "$.1", "$.store.book[ 0 ]",
    "$.store.book[*][?(@.price > 8 && @.isbn)]", "$.store.book[*][?(@.title =~ \"A\")]", "$.store.book[*][?(@ = 1)]",
    '$.nested[*][?(@ = [1,2])]', '$.and[?(@ = {"or":1,"length":7})]', '$.and[?(@.or = 1.0)]', '$.and[?(@.or = true)].length', "$.store..price",
    "$..book[*].title", "$..book[0,1].price", '$..["price"]', "$..length()", "$..*.price", '$["store"]["bicycle"]["color"]', '$["store","one"]',
    "$.*[?(@.price > 19)]", "$.and[?(@.length = 7 or)]", "$.and[?()]", "$.true", "$.null", "$.not", "$.andx", "$.trueish", "$.store.book[null]",
    '$.store.book["0"]', "$.store[0]", "$.nested[*][-1]", "$.nested[-1][-1][-1]", "$.s.substring(1,)", "$.s.substring(,1)", '$["\\u00e9"]',
    "$.store.book[0]title", "$.store.book[0].", "$.store.*[0]", "$.store.book[*]..title", "$.store.book[:]", "$.store.book[::]", "$.store.book[0::]",
    "$.store.book[0:1:]", "$.store.book[:2:]", "$.store.book[::1]", "$.store.book[:1:1]", "$.idx[?(@ < 2)]", "$.idx[?(@ < \"2\")]", "$.t[?(@ < 2)]",
]


def match(path):
    from jsonpath2.path import Path
    return [found.current_value for found in Path.parse_str(path).match(STORE)]


write("jsonpath.json", [{"store": STORE}, *({"path": path, **outcome(match, path)} for path in PATHS)])

# ---- requests: what is sent, and what is made of the answer
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answer(headers, body=b"", status="200 OK"):
    """An answer with a length, as text of which each character is a byte."""
    body = body if isinstance(body, bytes) else body.encode()
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n" + body.decode("latin-1")


def moved(status, location):
    return answer([f"Location: {location}"], status=f"{status} Elsewhere")


RAW = zlib.compressobj(wbits=-15)
RAW = RAW.compress(b"plain deflate") + RAW.flush()
JSON = ["Content-Type: application/json"]
EXCHANGES = [
    # headers, bodies and what they are
    ({"url": "/"}, [answer(["X-lower-UPPER: 1", "set-cookie: a=1", "Set-Cookie: b=2", "X-Empty:", "x-spaces:   a  b"], "hi")]),
    ({"url": "/"}, [answer(JSON, '{"a": [1, 2.0, null]}')]), ({"url": "/"}, [answer(JSON, "not json")]), ({"url": "/"}, [answer(JSON, "")]),
    ({"url": "/"}, [answer(["content-type: application/json"], "[]")]),
    ({"url": "/"}, [answer(["Content-Type: application/json; charset=utf-8"], '{"a":"é"}')]),
    ({"url": "/"}, [answer(["Content-Type: application/json;charset=utf-8"], '"é"')]),
    ({"url": "/"}, [answer(["Content-Type: application/vnd.x+json"], '"a"')]),
    ({"url": "/"}, [answer(["Content-Type: text/html"], "é".encode())]),
    ({"url": "/"}, [answer(["Content-Type: text/html"], "\x80é".encode("latin-1"))]),
    ({"url": "/"}, [answer(["Content-Type: text/plain; charset=UTF-8"], "é")]),
    ({"url": "/"}, [answer(["Content-Type: text/plain; Charset=\"utf-8\"; x=y"], "é")]),
    ({"url": "/"}, [answer(["Content-Type: text/plain; charset=windows-1252"], b"\x80")]),
    ({"url": "/"}, [answer(["Content-Type: text/plain; charset=nonsense"], "é")]),
    ({"url": "/"}, [answer(["Content-Type: text/plain; charset=utf-8"], b"a\xffb")]),
    ({"url": "/"}, [answer(["Content-Type: image/svg"], "plain words only")]), ({"url": "/"}, [answer([], "no type")]),
    ({"url": "/"}, [answer(["X-Latin: \xe9"], "")]),
    # encodings
    ({"url": "/"}, [answer(["Content-Encoding: gzip", "Content-Type: text/plain"], gzip.compress(b"zipped", mtime=0))]),
    ({"url": "/"}, [answer(["Content-Encoding: deflate"], zlib.compress(b"deflated"))]),
    ({"url": "/"}, [answer(["Content-Encoding: deflate"], RAW)]),
    ({"url": "/"}, [answer(["content-encoding: deflate, gzip"], gzip.compress(zlib.compress(b"both"), mtime=0))]),
    ({"url": "/"}, [answer(["Content-Encoding: identity"], "as it is")]), ({"url": "/"}, [answer(["Content-Encoding: gzip"], "no gzip")]),
    ({"url": "/"}, [answer(["Content-Encoding: gzip"], "")]),
    # lengths
    ({"url": "/"}, ["HTTP/1.1 200 OK\r\n\r\nuntil the end"]), ({"url": "/"}, ["HTTP/1.0 200 OK\r\n\r\nold"]),
    ({"url": "/"}, ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n"]),
    ({"url": "/"}, ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"]),
    ({"url": "/"}, ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"]),
    ({"url": "/"}, ["HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"]), ({"url": "/", "method": "HEAD"}, ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"]),
    ({"url": "/"}, ["HTTP/1.1 100 Continue\r\nX-No: 1\r\n\r\n" + OK]), ({"url": "/"}, [""]), ({"url": "/"}, ["no http at all\r\n\r\n"]),
    ({"url": "/"}, ["HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]), ({"url": "/"}, ["HTTP/1.1 404 Not Found\r\n\r\n"]),
    # what is sent
    ({"url": "/p?a=1#frag", "arguments": {"b": "x y&=é~*", "l": [1, None, "z"], "n": None, "t": True, "f": 1.0, "d": {"k": 1}, "e": ""}}, [OK]),
    ({"url": "/p", "arguments": "raw=1&x=é y"}, [OK]), ({"url": "/p", "arguments": {}}, [OK]), ({"url": "/p", "arguments": [["a", 1], ["a", 2]]}, [OK]),
    ({"url": "/a b/é?q=a b"}, [OK]), ({"url": ""}, [OK]), ({"url": "/p", "arguments": ["a"]}, [OK]), ({"url": "/p", "arguments": 5}, [OK]),
    ({"url": "/p", "method": "post", "arguments": {"a": "x y", "l": [1, 2]}}, [OK]), ({"url": "/p", "method": "POST"}, [OK]),
    ({"url": "/p", "method": "POST", "arguments": "raw é"}, [OK]),
    ({"url": "/p", "method": "PUT", "headers": {"Content-Type": "application/json"}, "arguments": {"a": [1, None]}}, [OK]),
    ({"url": "/p", "method": "PUT", "headers": {"Content-Type": "application/json"}, "arguments": {}}, [OK]),
    ({"url": "/p", "method": "PUT", "headers": {"Content-Type": "application/json"}}, [OK]),
    ({"url": "/p", "method": "PUT", "headers": {"content-type": "application/json"}, "arguments": {"a": 1}}, [OK]),
    ({"url": "/p", "method": "PATCH", "headers": {"Content-Type": "text/x"}, "arguments": {"a": 1}}, [OK]),
    ({"url": "/p", "method": "DELETE", "arguments": {"a": 1}}, [OK]), ({"url": "/p", "method": "OPTIONS"}, [OK]),
    ({"url": "/p", "headers": {"X-Own": "v", "Accept": "text/x", "Authorization": "Bearer t", "X-None": None}}, [OK]),
    ({"url": "/p", "headers": {"X-Number": 5}}, [OK]), ({"url": "/p", "headers": {"X-Break": "a\nb"}}, [OK]),
    # redirects
    ({"url": "/1"}, [moved(302, "/2?x=1"), OK]), ({"url": "/1?a=1", "arguments": {"b": 2}}, [moved(301, "2"), OK]),
    ({"url": "/1", "method": "POST", "arguments": {"a": 1}}, [moved(301, "/2"), OK]), ({"url": "/1", "method": "PUT", "arguments": {"a": 1}}, [moved(301, "/2"), OK]),
    ({"url": "/1", "method": "PUT", "arguments": {"a": 1}}, [moved(302, "/2"), OK]), ({"url": "/1", "method": "POST", "arguments": {"a": 1}}, [moved(303, "/2"), OK]),
    ({"url": "/1", "method": "POST", "arguments": {"a": 1}}, [moved(307, "/2"), OK]), ({"url": "/1", "method": "DELETE"}, [moved(308, "/2"), OK]),
    ({"url": "/1", "method": "HEAD"}, [moved(302, "/2"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"]), ({"url": "/1"}, [moved(304, "/2")]), ({"url": "/1"}, [moved(300, "/2")]),
    ({"url": "/1"}, ["HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nok"]), ({"url": "/1"}, [moved(302, "ftp://127.0.0.1/x")]),
    ({"url": "/1", "headers": {"Authorization": "Bearer t"}}, [moved(302, "/2"), OK]), ({"url": "/1"}, [moved(302, "/\xc3\xa9"), OK]),
    ({"url": "/0"}, [moved(302, f"/{number}") for number in range(1, 31)] + [OK]), ({"url": "/0"}, [moved(302, f"/{number}") for number in range(1, 33)]),
]


class Server:
    """Answers each connection with the next answer, and closes it."""

    def __init__(self, answers):
        self.answers, self.seen = list(answers), []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while self.answers:
            connection, _ = self.socket.accept()
            with connection, connection.makefile("rb") as stream:
                head = [line.decode("latin-1").rstrip("\r\n") for line in iter(stream.readline, b"\r\n") if line]
                headers = dict(line.split(": ", 1) if ": " in line else (line, "") for line in head[1:])
                lower = {name.lower(): value for name, value in headers.items()}
                body = stream.read(int(lower.get("content-length", "0"))).decode()
                shown = {name: lower.get(name) for name in ("accept", "authorization", "content-length", "content-type", "x-own", "x-none")}
                self.seen.append({"line": head[0] if head else "", "headers": shown, "body": body})
                # The next request comes on a connection of its own, here as there.
                reply = self.answers.pop(0).replace("\r\n", "\r\nConnection: close\r\n", 1) if self.answers else ""
                connection.sendall(reply.encode("latin-1"))


def exchange(provider, answers):
    server = Server(answers)
    activity = {"provider": {**provider, "url": f"http://127.0.0.1:{server.port}{provider['url']}"}}
    result = outcome(run_http_activity, activity, {}, {})
    if "gives" in result:
        result["gives"]["headers"].pop("Connection", None)
    return {"provider": provider, "answers": answers, **result, "seen": server.seen}


write("http.json", [exchange(provider, answers) for provider, answers in EXCHANGES])
