"""``offhook dial``: let the agent call somebody."""

import os

import click

KEY_VARIABLE = "OFFHOOK_API_KEY"


@click.command()
@click.argument("to")
@click.option("--url", help="HTTP base URL of the gateway (default: the one configured here).")
@click.option("--agent", default="", help="Who calls: an agent of this gateway (default: [gateway] agent).")
def dial(to: str, url: str | None, agent: str) -> None:
    """Call TO: a number (+14155550123) through the carrier that [phone] outbound names, or a sip: URI.

    A gateway with keys needs one with the scope `calls`, in OFFHOOK_API_KEY.
    """
    import httpx

    from orchestration.settings import load_configuration
    from serving.errors import ServingError
    from voice.access.tls import verification

    try:
        base = url or load_configuration().gateway_url
        key = os.environ.get(KEY_VARIABLE, "")
        response = httpx.post(
            f"{base.rstrip('/')}/calls",
            json={"to": to, "agent": agent},
            headers={"authorization": f"Bearer {key}"} if key else {},
            timeout=20,
            verify=verification(base),
        )
        reply = response.json()
    except (ServingError, httpx.HTTPError, ValueError) as error:
        raise click.ClickException(f"no call was placed: {error or type(error).__name__}") from None
    if response.is_error:
        raise click.ClickException(str(reply.get("error", response.status_code)))
    click.echo(f"calling {reply['to']}; the call is {reply['call_id']}")
