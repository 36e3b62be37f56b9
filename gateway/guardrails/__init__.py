"""What is looked for in the words of calls and answers, and what is done about it.

`rules` says which guardrails a call has, `asked` looks at requests, `screen` at answers as they stream; the other
modules each know one kind of thing to look for.
"""
