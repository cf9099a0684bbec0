"""What the scripts of Python agents share: they end with one line of JSON, whatever happens."""
import asyncio
import json


def report(main):
    """Runs main with a dictionary to fill and prints it, with the error under "error" if there is one."""
    out = {}
    try:
        asyncio.run(main(out))
    except BaseException as e:
        while isinstance(e, BaseExceptionGroup):
            e = e.exceptions[0]
        out["error"] = str(e) or repr(e)
    print(json.dumps(out))
