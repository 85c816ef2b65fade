"""What sipp says and expects, message by message. Anything unexpected fails the run."""

HEADERS = """
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      From: sipp <sip:sipp@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
      To: <sip:offhook@[remote_ip]:[remote_port]>{peer}
      Call-ID: [call_id]
      Contact: sip:sipp@[local_ip]:[local_port]
      Max-Forwards: 70"""
SDP = """
      v=0
      o=user1 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0 101
      a=rtpmap:0 PCMU/8000
      a=rtpmap:101 telephone-event/8000
"""


def send(
    method: str, sequence: int, *, body: str = "", extra: str = "", sequence_of: str = "", **options: str
) -> str:
    """Return a request that is sent; an ACK carries the method of what it acknowledges in ``sequence_of`` only."""
    described = (
        f"Content-Type: application/sdp\n      Content-Length: [len]\n{body}"
        if body
        else "Content-Length: 0\n"
    )
    # An INVITE here always begins a call: it names no dialog, even after a challenge.
    peer = "" if method in ("INVITE", "OPTIONS") else "[peer_tag_param]"
    attributes = "".join(f' {name}="{value}"' for name, value in options.items())
    return f"""
  <send{attributes}><![CDATA[

      {method} sip:offhook@[remote_ip]:[remote_port] SIP/2.0{HEADERS.format(peer=peer)}
      CSeq: {sequence} {sequence_of or method}
      {extra}{described}
  ]]></send>"""


def receive(status: int, *, optional: bool = False, check: str = "", auth: bool = False) -> str:
    """Return an answer that must come; ``check`` is a regular expression that a header must match."""
    attributes = (' optional="true"' if optional else "") + (' auth="true"' if auth else "")
    attributes += ' rtd="true"' if status == 200 else ""
    action = (
        f"""<action><ereg regexp="{check}" search_in="msg" check_it="true" assign_to="found"/></action>"""
        if check
        else ""
    )
    return f"""\n  <recv response="{status}"{attributes}>{action}</recv>"""


def receive_request(method: str) -> str:
    """Return a request that must come."""
    return f'\n  <recv request="{method}"/>'


def answer(status: str, *, body: str = "", extra: str = "") -> str:
    """Return the answer to the request that came last."""
    described = (
        f"Content-Type: application/sdp\n      Content-Length: [len]\n{body}"
        if body
        else "Content-Length: 0\n"
    )
    return f"""
  <send><![CDATA[

      SIP/2.0 {status}
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]SIPpTag01[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      {extra}{described}
  ]]></send>"""


#: Found by a check, and of no further use.
USED = '\n  <Reference variables="found"/>'
PAUSE = '\n  <pause milliseconds="{ms}"/>'
INVITE = send("INVITE", 1, body=SDP, retrans="500")
TRYING = receive(100, optional=True) + receive(180, optional=True)
ACK_OK = send("ACK", 1)
BYE = send("BYE", 2, retrans="500") + receive(200)
#: The ACK of a refusal belongs to the INVITE's own transaction.
ACK_REFUSAL = send("ACK", 1)

OPTIONS = send("OPTIONS", 1, retrans="500") + receive(200, check="Allow:.*INVITE") + USED
CALL = INVITE + TRYING + receive(200) + ACK_OK + PAUSE.format(ms=500) + BYE
BUSY = INVITE + TRYING + receive(486) + ACK_REFUSAL
UNAVAILABLE = INVITE + TRYING + receive(503, check="Retry-After: 5") + ACK_REFUSAL + USED
FORBIDDEN = INVITE + TRYING + receive(403) + ACK_REFUSAL
#: Ends when the other side hangs up.
WAITS = INVITE + TRYING + receive(200) + ACK_OK + receive_request("BYE") + answer("200 OK")


def with_credentials(name: str, password: str, then: str) -> str:
    """Return a call that answers a challenge."""
    credentials = f"[authentication username={name} password={password}]\n      "
    again = send("INVITE", 2, body=SDP, extra=credentials, retrans="500")
    return INVITE + TRYING + receive(401, auth=True) + ACK_REFUSAL + again + then


ADMITTED = (
    TRYING
    + receive(200)
    + send("ACK", 2)
    + PAUSE.format(ms=500)
    + send("BYE", 3, retrans="500")
    + receive(200)
)
WRONG = TRYING + receive(403) + send("ACK", 2)

#: A registrar that challenges once and checks the answer; the second REGISTER must be right.
REGISTRAR = (
    receive_request("REGISTER")
    + answer(
        "401 Unauthorized",
        extra='WWW-Authenticate: Digest realm="trunk", nonce="47ebe028cda119c35d4877b383027d28"\n      ',
    )
    + """
  <recv request="REGISTER">
    <action>
      <verifyauth assign_to="found" username="line7" password="s3cret"/>
    </action>
  </recv>
  <nop hide="true" next="right" test="found"/>"""
    + answer("403 Forbidden")
    + '\n  <nop hide="true" next="over"/>\n  <label id="right"/>'
    + answer("200 OK", extra="Expires: 300\n      ")
    + '\n  <label id="over"/>'
)
#: Somebody who takes a call and waits for its end.
ANSWERS = (
    receive_request("INVITE")
    + answer("180 Ringing")
    + answer("200 OK", body=SDP)
    + receive_request("ACK")
    + receive_request("BYE")
    + answer("200 OK")
)
REFUSES = receive_request("INVITE") + answer("486 Busy Here") + receive_request("ACK")
#: A goodbye to a call that never was.
INTRUDES = send("BYE", 1, extra="X-Tag: none\n      ").replace("[peer_tag_param]", ";tag=invented") + receive(
    403
)
