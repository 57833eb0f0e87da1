"""A directory of odd names, and questions about it whose answers are the same wherever they are asked.

It goes into jobs as it is, so Python 3.6 has to be able to read it.
"""

import os

from clustrix import (
    cluster_count_files,
    cluster_du,
    cluster_exists,
    cluster_find,
    cluster_glob,
    cluster_isdir,
    cluster_isfile,
    cluster_ls,
    cluster_mkdir,
    cluster_read,
    cluster_rm,
    cluster_stat,
    cluster_write,
)

WHEN = 1_700_000_000.25
FILES = {
    b"data/a.csv": b"1,2\n",
    b"data/b.CSV": b"",
    b"data/.hidden.csv": b"3\n",
    b"data/deep/er/c.csv": b"4,5,6\n",
    b"data/[1].csv": b"7",
    b"data/deep/two words.csv": b"8",
    b'data/deep/it\'s "quoted" $x `y` \\ ;.csv': b"9",
    b"data/line\nbreak.csv": b"10",
    b"data/tab\t*?.txt": b"11",
    b"data/-n": b"12",
    b"data/gr\xc3\xb6\xc3\x9fer.csv": b"13",
    b"data/latin-\xf6.csv": b"14",
    b"data/smile-\xf0\x9f\x98\x80.txt": b"15",
    b".config/x": b"16",
    b"~/y.csv": b"17",
}


def make_tree(top):
    """The directory; the same everywhere, to the times of its files."""
    os.makedirs(top)
    root = os.fsencode(top)
    for name, content in FILES.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
    with open(os.path.join(root, b"sparse"), "wb") as stream:
        stream.truncate(5 << 30)
    os.makedirs(os.path.join(root, b"empty"))
    os.symlink("data/a.csv", os.path.join(root, b"link.csv"))
    os.symlink("data", os.path.join(root, b"linked"))
    os.symlink("..", os.path.join(root, b"data", b"up"))
    os.symlink("loop", os.path.join(root, b"loop"))
    os.symlink("nowhere", os.path.join(root, b"broken.csv"))
    os.link(os.path.join(root, b"data/a.csv"), os.path.join(root, b"second name"))
    for directory, _, names in os.walk(root):
        os.chmod(directory, 0o750)
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                os.utime(path, (WHEN, WHEN))
                os.chmod(path, 0o640)


def made_tree(top):
    """The directory, made there unless it is there; its path."""
    path = os.path.expanduser(top)
    if not os.path.isdir(path):
        make_tree(path)
    return path


def answers(config=None):
    """What every question is answered where the work directory is such a tree: a value or the class of an error, as text."""
    return {name: _answer(question, config) for name, question in QUESTIONS}


def described(name):
    """What is found out of a file, by each of the ways that there are."""
    from clustrix import ClusterFilesystem, FileInfo

    info = cluster_stat(name)
    return info, ClusterFilesystem().stat(name) == info, isinstance(info, FileInfo)


def same(info):
    """What came."""
    return info


def _answer(question, config):
    try:
        value = question(config)
    except Exception as error:  # noqa: BLE001 - which one is the answer
        path = getattr(error, "filename", None)
        return "%s %s" % (type(error).__name__, path and path[path.rfind("tree") :])
    return ascii(value)


def _written(config):
    cluster_mkdir("new/er", config)
    cluster_write("new/er/f", "größer", config)
    seen = [
        cluster_read("new/er/f", 0, None, config),
        cluster_read("new/er/f", 2, 3, config),
        cluster_ls("new", config),
    ]
    cluster_write("new/er/f", b"\0\xff" * 3, config)
    seen += [cluster_read("new/er/f", config=config), cluster_ls("new/er", config)]
    cluster_rm("new", config, recursive=True)
    return seen, cluster_exists("new", config)


QUESTIONS = [
    ("ls", lambda config: cluster_ls(config=config)),
    ("ls data", lambda config: cluster_ls("data", config)),
    ("ls empty", lambda config: cluster_ls("empty", config)),
    ("ls of a link", lambda config: cluster_ls("linked/deep", config)),
    ("ls of a file", lambda config: cluster_ls("data/a.csv", config)),
    ("ls of nothing", lambda config: cluster_ls("nosuch", config)),
    ("ls of the empty name", lambda config: cluster_ls("", config)),
    ("ls of a loop", lambda config: cluster_ls("loop", config)),
    ("ls with a NUL", lambda config: cluster_ls("a\0b", config)),
    ("find", lambda config: cluster_find("*.csv", config=config)),
    ("find all", lambda config: cluster_find("*", ".", config)),
    ("find below", lambda config: cluster_find("*.csv", "data/deep", config)),
    ("find with a slash", lambda config: cluster_find("*.csv", "./data/", config)),
    ("find the end of a path", lambda config: cluster_find("er/*.csv", config=config)),
    ("find one character", lambda config: cluster_find("latin-?.csv", config=config)),
    ("find brackets", lambda config: cluster_find("[[]1].csv", config=config)),
    ("find a line break", lambda config: cluster_find("line\nbreak*", config=config)),
    ("find in a file", lambda config: cluster_find("*", "data/a.csv", config)),
    ("find in nothing", lambda config: cluster_find("*", "nosuch", config)),
    ("find nothing", lambda config: cluster_find("", config=config)),
    ("find every result", lambda config: [cluster_stat(name, config) for name in cluster_find("*", config=config)]),
    ("glob", lambda config: cluster_glob("*", config=config)),
    ("glob one level", lambda config: cluster_glob("*/*.csv", config=config)),
    ("glob deep", lambda config: cluster_glob("**/*.csv", "data", config)),
    ("glob everything", lambda config: cluster_glob("**", config=config)),
    ("glob directories", lambda config: cluster_glob("*/", config=config)),
    ("glob by name", lambda config: cluster_glob("linked/deep/er", config=config)),
    ("glob in nothing", lambda config: cluster_glob("*", "nosuch", config)),
    ("stat", lambda config: cluster_stat("data/a.csv", config)),
    ("stat of a directory", lambda config: cluster_stat("data/", config)[2:]),
    ("stat of a link", lambda config: cluster_stat("link.csv", config)),
    ("stat of a large file", lambda config: cluster_stat("sparse", config)),
    ("stat of a broken link", lambda config: cluster_stat("broken.csv", config)),
    ("stat of a loop", lambda config: cluster_stat("loop", config)[:2]),
    ("stat below a file", lambda config: cluster_stat("data/a.csv/x", config)),
    ("stat without UTF-8", lambda config: cluster_stat("data/latin-\udcf6.csv", config)),
    ("exists", lambda config: [cluster_exists(n, config) for n in ("data", "broken.csv", "link.csv", "", "\0", "~nobody")]),
    ("isdir", lambda config: [cluster_isdir(n, config) for n in ("data", "linked", "link.csv", "nosuch", ".", "loop")]),
    ("isfile", lambda config: [cluster_isfile(n, config) for n in ("data", "link.csv", "data/a.csv", "broken.csv")]),
    ("du", lambda config: cluster_du(config=config)),
    ("du of a file", lambda config: cluster_du("data/a.csv", config)),
    ("du of a link", lambda config: cluster_du("linked", config)),
    ("du of nothing", lambda config: cluster_du("nosuch", config)),
    ("count", lambda config: cluster_count_files(config=config)),
    ("count some", lambda config: cluster_count_files("data", "*.csv", config)),
    ("read", lambda config: cluster_read("data/deep/er/c.csv", config=config)),
    ("read the end of a huge file", lambda config: cluster_read("sparse", (5 << 30) - 3, 100, config)),
    ("read beyond the end", lambda config: cluster_read("data/a.csv", 100, config=config)),
    ("read a directory", lambda config: cluster_read("data", config=config)),
    ("read nothing", lambda config: cluster_read("nosuch", config=config)),
    ("write", _written),
    ("write into nothing", lambda config: cluster_write("nosuch/f", b"", config)),
    ("write a directory", lambda config: cluster_write("data", b"", config)),
    ("mkdir on a file", lambda config: cluster_mkdir("data/a.csv", config)),
    ("mkdir again", lambda config: cluster_mkdir("data", config, exist_ok=False)),
    ("rm of a directory", lambda config: cluster_rm("data", config)),
    ("rm of nothing", lambda config: cluster_rm("nosuch", config)),
    ("rm of nothing, on purpose", lambda config: cluster_rm("nosuch", config, missing_ok=True)),
    ("rm of the work directory", lambda config: cluster_rm(".", config, recursive=True)),
    ("on_error", lambda config: cluster_find("*", config=config, on_error="perhaps")),
]  # fmt: skip
