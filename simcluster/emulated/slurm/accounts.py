"""sacctmgr and sshare: who may use the cluster. They are read only; what would change something is refused."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simcluster.emulated.interface import Reply
from simcluster.emulated.slurm.formats import parse_width
from simcluster.emulated.slurm.options import UsageError, log_refusal, table
from simcluster.emulated.slurm.release import release_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from simcluster.emulated.command_line import CommandLine
    from simcluster.emulated.core import Core
    from simcluster.emulated.interface import Call

__all__ = ["sacctmgr", "sshare"]

_MANAGER = table(
    "sacctmgr",
    flags="associations/s immediate/i noheader/n parsable/p parsable2/P readonly/r version/V",
    refused="help/h oneliner/o quiet/Q usage verbose/v json yaml",
)
_SHARE = table(
    "sshare",
    flags="all/a noheader/n parsable/p parsable2/P version/V",
    valued="accounts/A format/o users/u",
    refused="Users/U clusters/M= helpformat/e help/h long/l partition/m usage verbose/v json yaml",
)

_WIDTHS = {
    "Account": 10, "Admin": 9, "Cluster": 10, "ControlHost": 15, "ControlPort": 12, "Def Acct": 10, "Def QOS": 9,
    "Descr": 20, "Flags": 40, "GraceTime": 10, "GrpJobs": 7, "GrpSubmit": 9, "GrpTRES": 13, "GrpTRESMins": 13,
    "GrpTRESRunMins": 13, "GrpWall": 11, "MaxCPUMins": 11, "MaxCPUs": 8, "MaxJobs": 7, "MaxJobsPA": 9, "MaxJobsPU": 9,
    "MaxNodes": 8, "MaxSubmit": 9, "MaxSubmitPA": 11, "MaxSubmitPU": 11, "MaxTRES": 13, "MaxTRESMins": 13,
    "MaxTRESPA": 13, "MaxTRESPU": 13, "MaxTRESPerNode": 14, "MaxWall": 11, "MinTRES": 13, "Name": 10, "Org": 20,
    "Partition": 10, "Preempt": 10, "PreemptExemptTime": 19, "PreemptMode": 11, "Priority": 10, "QOS": 20, "RPC": 5,
    "Share": 9, "UsageFactor": 11, "UsageThres": 10, "User": 10,
}  # fmt: skip
_USER = "User,Def Acct,Admin"
_OF_USER = "Cluster,Account,Partition,Share,Priority,MaxJobs,MaxNodes,MaxCPUs,MaxSubmit,MaxWall,MaxCPUMins,QOS,Def QOS"
_ASSOCIATION = (
    "Cluster,Account,User,Partition,Share,Priority,GrpJobs,GrpTRES,GrpSubmit,GrpWall,GrpTRESMins,MaxJobs,MaxTRES,"
    "MaxTRESPerNode,MaxSubmit,MaxWall,MaxTRESMins,QOS,Def QOS,GrpTRESRunMins"
)
_CLUSTER = (
    "Cluster,ControlHost,ControlPort,RPC,Share,GrpJobs,GrpTRES,GrpSubmit,MaxJobs,MaxTRES,MaxSubmit,MaxWall,QOS,Def QOS"
)
_QOS = (
    "Name,Priority,GraceTime,Preempt,PreemptExemptTime,PreemptMode,Flags,UsageThres,UsageFactor,GrpTRES,GrpTRESMins,"
    "GrpTRESRunMins,GrpJobs,GrpSubmit,GrpWall,MaxTRES,MaxTRESPerNode,MaxTRESMins,MaxWall,MaxTRESPU,MaxJobsPU,"
    "MaxSubmitPU,MaxTRESPA,MaxJobsPA,MaxSubmitPA,MinTRES"
)
_NAMES = {"adminlevel": "Admin", "defaultaccount": "Def Acct", "defaultqos": "Def QOS", "description": "Descr",
          "fairshare": "Share", "grpcpus": "GrpTRES", "maxcpus": "MaxCPUs", "organization": "Org"}  # fmt: skip
"""Other names of fields; all of them may be cut short."""
_NOTHING = """No valid entity in list command
Input line must include "Account", "Association", "Cluster", "Configuration",
"Event", "Federation", "Problem", "QOS", "Resource", "Reservation",
"RunAwayJobs", "Stats", "Transaction", "TRES", "User", or "WCKey"
"""


class _Error(Exception):
    """The text for stderr."""


@dataclass(frozen=True)
class _Column:
    name: str
    width: int

    def fit(self, text: str, *, cut: str) -> str:
        size = abs(self.width)
        if len(text) > size:
            text = text[: size - len(cut)] + cut
        return text.ljust(size) if self.width < 0 else text.rjust(size)


def sacctmgr(core: Core, call: Call) -> Reply:
    """Errors end with exit code 1."""
    try:
        line = _MANAGER.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        if not core.accounting:
            raise _Error(
                "You are not running a supported accounting_storage plugin\n"
                "Only 'accounting_storage/slurmdbd' is supported.\n"
            )
        return Reply(_list(core, line))
    except (UsageError, _Error) as error:
        return Reply(stderr=str(error), code=1)


def _list(core: Core, line: CommandLine) -> str:
    words = list(line.rest)
    command = words.pop(0).lower() if words else ""
    if len(command) < 2 or not any(name.startswith(command) for name in ("list", "show")):
        log_refusal("sacctmgr", command or "without a command")
        raise _Error(f"sacctmgr: error: {command or 'interactive use'}: Access/permission denied\n")
    entity = words.pop(0).lower() if words else ""
    kind = next((name for name in _ENTITIES if entity and name.startswith(entity)), None)
    if kind is None or len(entity) < 2:
        log_refusal("sacctmgr", f"list {entity}")
        raise _Error(_NOTHING)
    form, wanted, with_associations = _conditions(kind, words)
    with_associations = with_associations or line.has("associations")
    usual, rows = _ENTITIES[kind](core, with_associations=with_associations)
    rows = [row for row in rows if all(row.get(key, "") in values for key, values in wanted.items())]
    return _text([_column(name) for name in (form or usual).split(",") if name], rows, line)


def _conditions(kind: str, words: Sequence[str]) -> tuple[str, dict[str, set[str]], bool]:
    """The format, values that fields must have, and whether associations are to come along."""
    form, wanted, with_associations = "", {}, False
    of_name = {"user": "User", "account": "Account", "cluster": "Cluster", "qos": "Name"}
    for word in words:
        key, separator, value = word.partition("=")
        key = key.lower()
        if key == "format":
            form = value
        elif key in {"withassoc", "withassociations"}:
            with_associations = True
        elif key in {"where", "and"}:
            continue
        elif not separator or key in {"name", "names"}:
            wanted[of_name.get(kind, "Account")] = set((value or word).split(","))
        else:
            wanted[_column(key.removesuffix("s") if key != "qos" else key).name] = set(value.split(","))
    return form, wanted, with_associations


def _column(text: str) -> _Column:
    """`account%20`: a field's name may be cut short; the width is the usual one unless it says so."""
    name, _, width = text.strip().partition("%")
    known = {title.lower().replace(" ", ""): title for title in _WIDTHS} | _NAMES
    key = name.lower().replace(" ", "")
    title = known.get(key) or next((known[one] for one in known if key and one.startswith(key)), None)
    if title is None:
        raise _Error(f" Unknown field '{name}'\n")
    return _Column(title, parse_width(width) if re.fullmatch(r"-?\d+", width) else _WIDTHS[title])


def _text(columns: Sequence[_Column], rows: Sequence[Mapping[str, str]], line: CommandLine) -> str:
    with_header = not line.has("noheader")
    names = [column.name for column in columns]
    if line.has("parsable", "parsable2"):
        end = "" if line.has("parsable2") else "|"
        texts = [names] * with_header + [[row.get(name, "") for name in names] for row in rows]
        return "".join("|".join(text) + end + "\n" for text in texts)
    lines = []
    if with_header:
        lines.append([column.fit(column.name, cut="") for column in columns])
        lines.append(["-" * abs(column.width) for column in columns])
    lines += [[column.fit(row.get(column.name, ""), cut="+") for column in columns] for row in rows]
    return "".join(" ".join(one) + " \n" for one in lines)


def _owners(core: Core) -> dict[str, str]:
    """The users in order, each with the account."""
    account = core.settings.accounts[0]
    users = {*core.settings.user_ids}
    return {name: account if name in users else "root" for name in sorted({*users, "root"})}


def _association(core: Core, account: str, user: str = "") -> dict[str, str]:
    usual = core.settings.qualities
    return {"Cluster": core.cluster_name, "Account": account, "User": user, "Share": "1", "QOS": ",".join(usual)}


def _associations(core: Core, *, with_associations: bool) -> tuple[str, list[dict[str, str]]]:  # noqa: ARG001
    owners = _owners(core)
    rows = []
    for account in ("root", *core.settings.accounts):
        rows.append(_association(core, account))
        rows += [_association(core, account, user) for user, own in owners.items() if own == account]
    return _ASSOCIATION, rows


def _users(core: Core, *, with_associations: bool) -> tuple[str, list[dict[str, str]]]:
    rows = []
    for user, account in _owners(core).items():
        row = {
            "User": user,
            "Name": user,
            "Def Acct": account,
            "Admin": "Administrator" if account == "root" else "None",
        }
        rows.append({**_association(core, account, user), **row} if with_associations else row)
    return f"{_USER},{_OF_USER}" if with_associations else _USER, rows


def _accounts(core: Core, *, with_associations: bool) -> tuple[str, list[dict[str, str]]]:
    rows = [{"Account": "root", "Name": "root", "Descr": "default root account", "Org": "root"}]
    rows += [{"Account": name, "Name": name, "Descr": name, "Org": name} for name in core.settings.accounts]
    if not with_associations:
        return "Account,Descr,Org", rows
    described = {row["Account"]: row for row in rows}
    _, associations = _associations(core, with_associations=True)
    fields = f"Account,Descr,Org,{_ASSOCIATION.replace('Account,', '')}"
    return fields, [{**described[row["Account"]], **row} for row in associations]


def _clusters(core: Core, *, with_associations: bool) -> tuple[str, list[dict[str, str]]]:  # noqa: ARG001
    place = {"Name": core.cluster_name, "ControlHost": core.settings.controller, "ControlPort": "6817", "RPC": "9728"}
    return _CLUSTER, [{**_association(core, ""), **place}]


def _qualities(core: Core, *, with_associations: bool) -> tuple[str, list[dict[str, str]]]:  # noqa: ARG001
    usual = {"Priority": "0", "GraceTime": "00:00:00", "PreemptMode": "cluster", "UsageFactor": "1.000000"}
    return _QOS, [{"Name": name, **usual} for name in core.settings.qualities]


_ENTITIES = {
    "association": _associations,
    "account": _accounts,
    "cluster": _clusters,
    "qos": _qualities,
    "user": _users,
}

_SHARE_WIDTHS = {"Account": -20, "User": 10, "RawShares": 10, "NormShares": 11, "RawUsage": 11, "EffectvUsage": 13,
                 "FairShare": 10}  # fmt: skip


def sshare(core: Core, call: Call) -> Reply:
    """As with priority/basic: nobody's use counts."""
    try:
        line = _SHARE.parse(call.arguments)
        if line.has("version"):
            return Reply(f"slurm-wlm {core.settings.version}\n")
        names = [name.strip().lower() for name in (line.last("format") or ",".join(_SHARE_WIDTHS)).split(",")]
        columns = [_share_column(name) for name in names if name]
    except (UsageError, _Error) as error:
        return Reply(stderr=str(error), code=1)
    return Reply(_text(columns, _shares(core, call, line) if core.accounting else [], line))


def _share_column(text: str) -> _Column:
    name, _, width = text.partition("%")
    title = next((one for one in _SHARE_WIDTHS if one.lower().startswith(name)), None)
    if title is None:
        raise _Error(f'sshare: error: Invalid field requested: "{name}"\n')
    return _Column(title, parse_width(width) if re.fullmatch(r"-?\d+", width) else _SHARE_WIDTHS[title])


def _shares(core: Core, call: Call, line: CommandLine) -> list[dict[str, str]]:
    is_normalized = release_of(core).shares_are_normalized
    used = {"RawUsage": "0", "EffectvUsage": "0.000000"}
    part = {"RawShares": "1", "NormShares": "0.500000" if is_normalized else "", **used}
    rest = {"NormShares": "0.000000", "RawUsage": "0", "EffectvUsage": "1.000000"} if is_normalized else used
    fair = "1.000000" if is_normalized else "0.000000"
    users = set(line.last("users").split(",")) if line.last("users") else {call.user}
    wanted = set(filter(None, line.last("accounts").split(",")))
    rows = [] if wanted and "root" not in wanted else [{"Account": "root", **rest}]
    if _owners(core)["root"] == "root" and (line.has("all") or "root" in users):
        rows.append({"Account": " root", "User": "root", "FairShare": fair, **part})
    for account in core.settings.accounts:
        if wanted and account not in wanted:
            continue
        rows.append({"Account": f" {account}", **part})
        for user, own in _owners(core).items():
            if own == account and (line.has("all") or user in users):
                rows.append({"Account": f"  {account}", "User": user, "FairShare": fair, **part})
    return rows
