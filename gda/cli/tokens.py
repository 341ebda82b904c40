"""``gda tokens``: what is stored sealed of everybody."""

from cyclopts import App

from gda.cli.run import say, settings, store

app = App(name="tokens")


@app.command
async def rotate() -> None:
    """Seal every stored token and address anew under the newest key, the first of GDA_KEYS or of the keys file.

    Put a new key in front of the others first; the old ones may go once this has run and no worker has them any more.
    """
    from gda.vault import Vault

    given = settings()
    vault = Vault.from_settings(given)
    async with store(given) as opened:
        done = await opened.credentials.rotate(vault.rotate)
        addresses = await opened.notify_preferences.rotate(vault.rotate)
    print(f"sealed the tokens of {done} users and {addresses} addresses for notices under the newest key")
    say("the older keys may go now, once every worker has the new one too")
