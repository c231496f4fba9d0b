"""CVE objects of the shape of NVD's API 2.0, from a seed: all metric versions, many scripts, optional fields missing.

No server belongs here.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

FIRST = datetime(1999, 1, 1)  # noqa: DTZ001 - NVD writes its times without a zone
STATUSES = ("Received", "Awaiting Analysis", "Undergoing Analysis", "Analyzed", "Modified", "Deferred", "Rejected")
SEVERITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
IMPACTS = ("NONE", "LOW", "HIGH")
WORDS = (
    "buffer overflow",
    "depuración activada",
    "任意代码执行",
    "уязвимость",
    "emoji \U0001f4a5 out of plane",
    'a "quoted" \\path\\ and/slash',
    "line\nbreak and\ttab",
    "<script>alert(1)</script> & co",
    "zero\u200bwidth",
)
TAGS = ("Patch", "Vendor Advisory", "Third Party Advisory", "US Government Resource", "Exploit")

type Cve = dict[str, Any]


def cves(count: int, seed: int = 0, *, start: datetime = FIRST, end: datetime = datetime(2026, 1, 1)) -> Iterator[Cve]:  # noqa: DTZ001 - as above
    """`count` objects in the order of publication; `lastModified` is spread over [start, end), unique ids."""
    chance = random.Random(seed)
    published = FIRST
    for number in range(count):
        published += timedelta(milliseconds=chance.randrange(1, 3_600_000))
        modified = start + timedelta(milliseconds=chance.randrange(int((end - start) / timedelta(milliseconds=1))))
        yield _cve(chance, number, published, modified)


def changed(cve: Cve, modified: datetime, note: str = "changed") -> Cve:
    """The same CVE after a modification: other words, another status, another time."""
    descriptions = [*cve["descriptions"][1:], {"lang": "en", "value": note}]
    return cve | {"lastModified": written(modified), "vulnStatus": "Modified", "descriptions": descriptions}


def written(moment: datetime) -> str:
    """As NVD writes times: milliseconds, no zone."""
    return moment.isoformat(timespec="milliseconds")


def _cve(chance: random.Random, number: int, published: datetime, modified: datetime) -> Cve:
    cve: Cve = {
        "id": f"CVE-{published.year}-{number + 1:04d}",
        "sourceIdentifier": chance.choice(("cve@mitre.org", "nvd@nist.gov", "security@exämple.org")),
        "published": written(published),
        "lastModified": written(modified),
        "vulnStatus": chance.choice(STATUSES),
    }
    if chance.random() < 0.7:
        cve["cveTags"] = _tags(chance)
    cve["descriptions"] = [{"lang": lang, "value": _sentence(chance)} for lang in ("en", "es")[: chance.randint(1, 2)]]
    cve["metrics"] = _metrics(chance)
    return cve | _optional(chance)


def _tags(chance: random.Random) -> list[dict[str, Any]]:
    tag = {"sourceIdentifier": "cve@mitre.org", "tags": ["disputed"]}
    return [tag] if chance.random() < 0.1 else []


def _sentence(chance: random.Random) -> str:
    return ", ".join(chance.choices(WORDS, k=chance.randint(1, 8))) + "."


def _optional(chance: random.Random) -> Cve:
    fields: Cve = {}
    if chance.random() < 0.05:
        fields |= {"cisaExploitAdd": "2021-11-03", "cisaActionDue": "2022-05-03"}
        fields |= {"cisaRequiredAction": "Apply updates.", "cisaVulnerabilityName": _sentence(chance)}
    if chance.random() < 0.1:
        fields |= {"evaluatorComment": _sentence(chance), "evaluatorSolution": "none", "evaluatorImpact": "n/a"}
    if chance.random() < 0.9:
        fields["weaknesses"] = _weaknesses(chance)
    if chance.random() < 0.8:
        fields["configurations"] = [_configuration(chance) for _ in range(chance.randint(1, 3))]
    fields["references"] = [_reference(chance) for _ in range(chance.randint(0, 6))]
    if chance.random() < 0.02:
        fields["vendorComments"] = [
            {"organization": "Red Hat", "comment": _sentence(chance), "lastModified": "2007-01-01T00:00:00"}
        ]
    return fields


def _metrics(chance: random.Random) -> dict[str, list[Cve]]:
    makers = {"cvssMetricV40": _v4, "cvssMetricV31": _v31, "cvssMetricV30": _v30, "cvssMetricV2": _v2}
    chosen = {name: maker for name, maker in makers.items() if chance.random() < 0.5}
    kinds = ("Primary", "Secondary")
    return {
        name: [{"source": "nvd@nist.gov", "type": kind, **maker(chance)} for kind in kinds[: chance.randint(1, 2)]]
        for name, maker in chosen.items()
    }


def _score(chance: random.Random) -> float:
    return chance.randrange(0, 101) / 10


def _v2(chance: random.Random) -> Cve:
    levels = ("NONE", "PARTIAL", "COMPLETE")
    data: Cve = {"version": "2.0", "vectorString": "AV:N/AC:L/Au:N/C:C/I:C/A:C", "baseScore": _score(chance)}
    data |= {"accessVector": chance.choice(("NETWORK", "LOCAL", "ADJACENT_NETWORK")), "accessComplexity": "LOW"}
    data |= {"authentication": "NONE"}
    data |= {f"{name}Impact": chance.choice(levels) for name in ("confidentiality", "integrity", "availability")}
    metric: Cve = {"cvssData": data, "baseSeverity": chance.choice(SEVERITIES[:3])}
    metric |= {"exploitabilityScore": _score(chance), "impactScore": _score(chance)}
    flags = ("acInsufInfo", "obtainAllPrivilege", "obtainUserPrivilege", "obtainOtherPrivilege")
    metric |= {flag: chance.random() < 0.5 for flag in flags}
    return metric | ({"userInteractionRequired": True} if chance.random() < 0.5 else {})


def _v30(chance: random.Random, version: str = "3.0") -> Cve:
    data: Cve = {"version": version, "vectorString": f"CVSS:{version}/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
    data |= {"baseScore": _score(chance), "baseSeverity": chance.choice(SEVERITIES)}
    data |= {"attackVector": chance.choice(("NETWORK", "LOCAL", "PHYSICAL")), "attackComplexity": "LOW"}
    data |= {"privilegesRequired": "NONE", "userInteraction": "REQUIRED", "scope": "UNCHANGED"}
    data |= {f"{name}Impact": chance.choice(IMPACTS) for name in ("confidentiality", "integrity", "availability")}
    return {"cvssData": data, "exploitabilityScore": _score(chance), "impactScore": _score(chance)}


def _v31(chance: random.Random) -> Cve:
    return _v30(chance, "3.1")


def _v4(chance: random.Random) -> Cve:
    data: Cve = {"version": "4.0", "vectorString": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}
    data |= {"baseScore": _score(chance), "baseSeverity": chance.choice(SEVERITIES), "attackVector": "NETWORK"}
    data |= {"attackComplexity": "LOW", "attackRequirements": "NONE", "privilegesRequired": "NONE"}
    data |= {"userInteraction": "NONE", "exploitMaturity": "NOT_DEFINED"}
    parts = ("Confidentiality", "Integrity", "Availability")
    return {"cvssData": data | {f"vulnerableSystem{part}": chance.choice(IMPACTS) for part in parts}}


def _weaknesses(chance: random.Random) -> list[Cve]:
    numbers = (f"CWE-{chance.randrange(1, 1400)}", "NVD-CWE-Other", "NVD-CWE-noinfo")
    description = [{"lang": "en", "value": name} for name in numbers[: chance.randint(1, 3)]]
    return [{"source": "nvd@nist.gov", "type": "Primary", "description": description}]


def _configuration(chance: random.Random) -> Cve:
    matches = [_cpe_match(chance) for _ in range(chance.randint(1, 4))]
    node = {"operator": "OR", "negate": False, "cpeMatch": matches}
    return {"nodes": [node]} | ({"operator": "AND"} if chance.random() < 0.1 else {})


def _cpe_match(chance: random.Random) -> Cve:
    criteria = f"cpe:2.3:a:vendor\\!:product_{chance.randrange(1000)}:*:*:*:*:*:*:*:*"
    match: Cve = {"vulnerable": chance.random() < 0.9, "criteria": criteria}
    for bound in ("versionStartIncluding", "versionStartExcluding", "versionEndIncluding", "versionEndExcluding"):
        if chance.random() < 0.2:
            match[bound] = f"{chance.randrange(20)}.{chance.randrange(20)}"
    return match | {"matchCriteriaId": f"{chance.getrandbits(128):032X}"}


def _reference(chance: random.Random) -> Cve:
    reference: Cve = {
        "url": f"https://example.org/advisory/{chance.randrange(10**6)}?a=b&c=ü",
        "source": "cve@mitre.org",
    }
    return reference | ({"tags": chance.sample(TAGS, chance.randint(1, 3))} if chance.random() < 0.5 else {})
