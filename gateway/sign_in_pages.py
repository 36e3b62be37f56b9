"""The pages that a worker makes itself: the form to sign in, one's account, and that there is none. They need no script."""

from __future__ import annotations

from html import escape

from gateway.people_calls import Account

HEADERS = [
    (b"content-type", b"text/html; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
]
"""Of all; nothing that was slipped in could load or send anything."""

_FRAME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · Tidegate</title>
<meta name="viewport" content="width=device-width"><style>
:root{{color-scheme:light dark}}
body{{font:14px/1.5 system-ui,"DejaVu Sans",sans-serif;max-width:26rem;margin:12vh auto 0;padding:0 1rem}}
h1{{font-size:1.1rem}}p{{overflow-wrap:anywhere}}h2{{font-size:1rem;margin:1.6rem 0 0}}form{{margin-top:.8rem}}label{{display:block;margin-top:.4rem}}
input,select,button{{font:inherit;padding:.35rem .6rem}}input,select{{width:100%;box-sizing:border-box}}
button{{margin-top:.6rem}}[role=alert]{{color:#c0362c}}</style></head><body>
<h1><a href="/">Tidegate</a></h1>{said}{body}</body></html>"""

_SIGN_IN = """<form method="post" action="/sign-in">{to}
<label>E-mail <input type="email" name="email" required autofocus autocomplete="username"></label>
<label>Password <input type="password" name="password" required autocomplete="current-password"></label>
<button>Sign in</button></form>{issuer}
<form method="post" action="/sign-in">{to}
<label>Or a key of this gateway <input type="password" name="key" required autocomplete="off"
 placeholder="tg-..."></label>
<button>Use the key</button></form>
<p>Either shows the calls of a project and environment, for twelve hours. <code>tidegate users create</code> and
<code>tidegate keys create NAME --scope read</code> make them.</p>"""

_ACCOUNT = """<p>{email}{name}: {role} of {project}, {environment}</p>
<h2>Where to look</h2><form method="post" action="/account">{csrf}
<label>Project and environment <select name="place">{places}</select></label><button>Look there</button></form>
{password}<h2>Leave</h2><form method="post" action="/sign-out">{csrf}<button>Sign out</button></form>"""

_CHANGE = """<h2>Another password</h2><form method="post" action="/account">{csrf}
<label>The present one <input type="password" name="former_password" required autocomplete="current-password"></label>
<label>The new one <input type="password" name="password" required minlength="12" autocomplete="new-password"></label>
<button>Change it</button></form><p>All sessions end, this one, too.</p>"""

_LEAVE = """<p>Signed in with a key, for {project}, {environment}.</p>
<form method="post" action="/sign-out">{csrf}<button>Sign out</button></form>"""

_UNKNOWN = """<h2>Not found</h2><p>There is no page at <code>{path}</code>.</p>
<p><a href="/">The latest events</a> are a good place to begin.</p>"""


def sign_in(to: str, complaint: str = "", *, issuer: bool = False) -> bytes:
    """Return the form; `issuer`: there is another house that may say who somebody is."""
    link = '<form action="/sign-in/oidc">{to}<button>Sign in elsewhere</button></form>' if issuer else ""
    hidden = _hidden("to", to)
    body = _SIGN_IN.format(to=hidden, issuer=link.format(to=hidden))
    return _page("Sign in", body, complaint)


def account(told: Account, csrf: str, complaint: str = "") -> bytes:
    """Return what somebody may change about themselves."""
    hidden = _hidden("csrf", csrf)
    options = "".join(
        f'<option value="{escape(f"{project}/{environment}")}"'
        f"{' selected' if (project, environment) == (told.project, told.environment) else ''}>"
        f"{escape(project)}, {escape(environment)}</option>"
        for project, environments in told.places
        for environment in environments
    )
    words = {name: escape(getattr(told, name)) for name in ("email", "project", "environment")}
    body = _ACCOUNT.format(
        **words,
        name=f" ({escape(told.name)})" if told.name else "",
        role=told.role or "nothing",
        csrf=hidden,
        places=options,
        password=_CHANGE.format(csrf=hidden) if told.has_password else "",
    )
    return _page("Account", body, complaint)


def leave(project: str, environment: str, csrf: str) -> bytes:
    """Return what somebody sees who is signed in with a key."""
    hidden = _hidden("csrf", csrf)
    body = _LEAVE.format(project=escape(project), environment=escape(environment), csrf=hidden)
    return _page("Account", body, "")


def unknown(path: str) -> bytes:
    """Return what somebody sees who opens an address at which there is nothing."""
    return _page("Not found", _UNKNOWN.format(path=escape(path)), "")


def _page(title: str, body: str, complaint: str) -> bytes:
    said = f'<p role="alert">{escape(complaint)}</p>' if complaint else ""
    return _FRAME.format(title=title, said=said, body=body).encode()


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'
