"""Exports of other tools, with the columns that they really have, read as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import events_file
from connectors.errors import UserError
from connectors.events_file import Options
from connectors.pseudonyms import Pseudonymiser

NAMES = Pseudonymiser(bytes(range(32)))
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECRET = "xylophonquartz"
PEOPLE = {NAMES.key("address", f"{name}@own.example"): name for name in ("ann", "bob", "cat", "dan")}
PEOPLE |= {NAMES.key("events:events:account", name): name for name in ("p1", "p2", "p3", "emp001", "emp002", "emp003")}
PEOPLE |= {NAMES.key("address", "zoe@out.example"): "zoe"}


def read(folder: Path, text: str, encoding: str = "utf-8", **options: Any) -> tuple[list[dict[str, Any]], list[str]]:
    path = folder / "export.csv"
    path.write_bytes(text.encode(encoding))
    notes: list[str] = []
    batches = events_file.read(path, NAMES, options=Options(**options), now=NOW, notes=notes)
    rows = [row for batch in batches if "interaction" in batch.records for row in batch.records["interaction"].to_pylist()]
    assert SECRET not in str(rows) + str(notes)
    return rows, notes


def seen(rows: list[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    """Return each interaction as its minute, its sender and the others, by name."""
    return [
        (
            f"{row['occurred_at']:%m-%d %H:%M}",
            PEOPLE[row["sender_key"]],
            sorted({PEOPLE[part["account_key"]] for part in row["participants"]}),
        )
        for row in rows
    ]


# -- Exchange -----------------------------------------------------------------------------------------------------------

MAIL = [("03-01 09:00", "ann", ["bob", "cat"])]

POWERSHELL = f"""\
#TYPE Deserialized.Microsoft.Exchange.Management.FfoReporting.MessageTrace
"PSComputerName","RunspaceId","PSShowComputerName","Organization","MessageId","Received","SenderAddress","RecipientAddress","Subject",\
"Status","ToIP","FromIP","Size","MessageTraceId","StartDate","EndDate","Index"
"x","1","False","own","<a@own>","2026-03-01T09:00:00.1230000","ann@own.example","bob@own.example","{SECRET}","Delivered",,"1.1","1","1",,,"0"
"x","1","False","own","<a@own>","2026-03-01T09:00:00.1230000","ann@own.example","cat@own.example","{SECRET}","Delivered",,"1.1","1","1",,,"1"
"x","1","False","own","<b@own>","2026-03-01T09:05:00.0000000","ann@own.example","dl@own.example","{SECRET}","Expanded",,"1.1","1","1",,,"2"
"x","1","False","own","<c@own>","2026-03-01T09:06:00.0000000","ann@own.example","dan@own.example","{SECRET}","Failed",,"1.1","1","1",,,"3"
"x","1","False","own","<d@own>","2026-03-01T09:07:00.0000000","<>","ann@own.example","{SECRET}","Delivered",,"1.1","1","1",,,"4"
"""
AMERICAN = """\
"Received","SenderAddress","RecipientAddress","Subject","Status","MessageId"
"3/1/2026 9:00:00 AM","ann@own.example","bob@own.example","","Delivered","<a@own>"
"3/1/2026 9:00:00 AM","ann@own.example","cat@own.example","","Delivered","<a@own>"
"3/13/2026 9:00:00 AM","ann@own.example","cat@own.example","","Failed","<b@own>"
"""
ADMIN_CENTRE = f"""\
date_time_utc,sender_address,recipient_address,message_subject,status,to_ip,from_ip,size,message_id,network_message_id
2026-03-01T09:00:00.1234567Z,ann@own.example,bob@own.example,{SECRET},Delivered,,1.1,5,<a@own>,n1
2026-03-01T09:00:00.1234567Z,ann@own.example,cat@own.example,{SECRET},Delivered,,1.1,5,<a@own>,n1
2026-03-01T09:00:00.1234567Z,ann@own.example,dan@own.example,{SECRET},FilteredAsSpam,,1.1,5,<a@own>,n1
"""
ENHANCED = f"""\
origin_timestamp_utc,sender_address,recipient_status,message_subject,total_bytes,message_id,network_message_id,original_client_ip,directionality
2026-03-01T09:00:00.1234567Z,ann@own.example,"bob@own.example##Receive, Deliver;cat@own.example##Receive, Send;\
dan@own.example##Receive, Fail",\
{SECRET},5,<a@own>,n1,1.1,2
2026-03-01T09:10:00.1234567Z,ann@own.example,"dl@own.example##Receive, Expand",{SECRET},5,<b@own>,n2,1.1,2
"""
EXTENDED = f"""\
date_time_utc,client_ip,server_hostname,source,event_id,internal_message_id,message_id,network_message_id,recipient_address,recipient_status,\
total_bytes,recipient_count,message_subject,sender_address,return_path,directionality,custom_data
2026-03-01T09:00:01.0000000Z,,s,SMTP,RECEIVE,1,<a@own>,n1,bob@own.example;cat@own.example,,5,2,{SECRET},ann@own.example,,Originating,
2026-03-01T09:00:05.0000000Z,,s,STOREDRIVER,DELIVER,1,<a@own>,n1,bob@own.example,,5,1,{SECRET},ann@own.example,,Originating,
2026-03-01T09:00:06.0000000Z,,s,SMTP,SEND,1,<a@own>,n1,cat@own.example,250 OK,5,1,{SECRET},ann@own.example,,Originating,
2026-03-01T09:00:07.0000000Z,,s,SMTP,SEND,1,<a@own>,n1,cat@own.example,250 OK,5,1,{SECRET},ann@own.example,,Originating,
2026-03-01T09:00:08.0000000Z,,s,AGENT,AGENTINFO,1,<a@own>,n1,cat@own.example,,5,1,{SECRET},ann@own.example,,Originating,
"""


@pytest.mark.parametrize(
    "text, encoding",
    [
        (POWERSHELL, "utf-8"),
        (POWERSHELL.replace('","', '";"').replace(",,,", ";;;").replace(',,"', ';;"'), "utf-8-sig"),
        (AMERICAN, "utf-8"),
        (ADMIN_CENTRE, "utf-16"),
        (ENHANCED, "utf-16-le"),
        (EXTENDED, "utf-16-le"),
        (EXTENDED, "utf-8"),
    ],
    ids=["powershell", "powershell of Europe", "powershell of America", "admin centre", "enhanced", "extended", "extended in UTF-8"],
)
@pytest.mark.parametrize("named", [None, "message-trace"])
def test_a_message_trace_gives_what_was_delivered(tmp_path: Path, text: str, encoding: str, named: str | None) -> None:
    rows, notes = read(tmp_path, text, encoding, format=named)
    assert seen(rows) == MAIL
    assert rows[0]["recipient_count"] == 2
    assert "read as message-trace" in notes
    assert any(note.endswith("rows were left out: not_delivered") for note in notes)


def test_a_message_trace_of_nothing_delivered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="2 rows were left out: not_delivered"):
        read(
            tmp_path,
            ADMIN_CENTRE.replace("Delivered", "Failed").replace("FilteredAsSpam", "Failed").replace("dan", "cat", 1).rsplit("\n", 2)[0],
        )


def test_a_trace_of_american_times_that_are_not_certain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"column Received, line 2: .*--date-order"):
        read(tmp_path, AMERICAN.replace("3/13/", "3/12/"))
    assert seen(read(tmp_path, AMERICAN.replace("3/13/", "3/12/"), date_order="month-first")[0]) == MAIL


# -- Google -------------------------------------------------------------------------------------------------------------

START = 62135683200 + int(datetime(2026, 3, 3, 9, tzinfo=UTC).timestamp())
CALENDAR = f"""\
Date,Event,Description,Actor,Event ID,Event title,Event guest,Event response status,Organizer calendar ID,Start time,End time
2026-03-02T10:00:00-05:00,Event created,{SECRET},ann@own.example,e1,{SECRET},,,ann@own.example,2026-03-03T09:00:00Z,2026-03-03T09:30:00Z
2026-03-02T10:01:00-05:00,Event guest added,{SECRET},ann@own.example,e1,{SECRET},bob@own.example,needs_action,ann@own.example,,
2026-03-02T10:01:00-05:00,Event guest added,{SECRET},ann@own.example,e1,{SECRET},cat@own.example,needs_action,ann@own.example,,
2026-03-02T10:01:00-05:00,Event guest added,{SECRET},ann@own.example,e1,{SECRET},zoe@out.example,needs_action,ann@own.example,,
2026-03-02T11:00:00-05:00,Event guest response changed,{SECRET},bob@own.example,e1,{SECRET},bob@own.example,Accepted,ann@own.example,,
2026-03-02T11:00:00-05:00,Event guest response changed,{SECRET},cat@own.example,e1,{SECRET},cat@own.example,Accepted,ann@own.example,,
2026-03-02T12:00:00-05:00,Event guest response changed,{SECRET},cat@own.example,e1,{SECRET},cat@own.example,Declined,ann@own.example,,
2026-03-02T13:00:00-05:00,Event guest response changed,{SECRET},zoe@out.example,e1,{SECRET},zoe@out.example,Accepted,ann@own.example,,
2026-03-02T14:00:00-05:00,Event guest removed,{SECRET},ann@own.example,e1,{SECRET},zoe@out.example,,ann@own.example,,
2026-03-02T10:00:00-05:00,Event created,{SECRET},ann@own.example,e2,{SECRET},,,ann@own.example,2026-03-04T09:00:00Z,2026-03-04T09:30:00Z
2026-03-02T11:00:00-05:00,Event guest response changed,{SECRET},bob@own.example,e2,{SECRET},bob@own.example,Accepted,ann@own.example,,
2026-03-02T12:00:00-05:00,Event deleted,{SECRET},ann@own.example,e2,{SECRET},,,ann@own.example,,
2026-03-02T12:00:00-05:00,Calendar subscribed,{SECRET},ann@own.example,,,,,,,
"""
CALENDAR_API = f"""\
name,actor.email,id.time,event_id,event_title,event_guest,event_response_status,organizer_calendar_id,start_time,end_time
change_event_guest_response,bob@own.example,2026-03-02T16:00:00.000Z,e1,{SECRET},bob@own.example,accepted,ann@own.example,,
create_event,ann@own.example,2026-03-02T15:00:00.000Z,e1,{SECRET},,,ann@own.example,{START},{START + 1800}
"""


@pytest.mark.parametrize("text", [CALENDAR, CALENDAR_API], ids=["console", "reports"])
@pytest.mark.parametrize("named", [None, "google-calendar"])
def test_a_calendar_log_gives_the_meetings_that_were_accepted(tmp_path: Path, text: str, named: str | None) -> None:
    rows, notes = read(tmp_path, text, format=named)
    assert seen(rows) == [("03-03 09:00", "ann", ["ann", "bob"])]
    assert (rows[0]["medium"], rows[0]["minutes"]) == ("meeting_unknown", 30)
    assert {part["evidence"] for part in rows[0]["participants"]} == {"co_present"}
    assert text is CALENDAR_API or "3 rows were left out: withdrawn" in notes


def test_a_calendar_log_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="as google-calendar it lacks answer"):
        read(tmp_path, CALENDAR.replace("Event response status", "Something else"))


CHAT = f"""\
Date,Event,Description,Actor,Actor type,Conversation type,Room ID,Room name,Target users,Message ID
2026-03-01T09:00:00Z,Direct message started,{SECRET},ann@own.example,NON_ADMIN,User to user direct message,r1,,bob@own.example,
2026-03-01T09:00:00Z,Message posted,{SECRET},ann@own.example,NON_ADMIN,User to user direct message,r1,,,m1
2026-03-01T09:05:00Z,Message posted,{SECRET},bob@own.example,NON_ADMIN,User to user direct message,r1,,,m2
2026-03-01T09:06:00Z,Message posted,{SECRET},ann@own.example,NON_ADMIN,User to app direct message,r2,,,m3
2026-03-01T09:07:00Z,Message posted,{SECRET},ann@own.example,NON_ADMIN,Space,r3,{SECRET},,m4
2026-03-01T09:08:00Z,Message posted,{SECRET},cat@own.example,NON_ADMIN,User to user direct message,r4,,,m5
2026-03-01T09:09:00Z,Message posted,{SECRET},ann@own.example,NON_ADMIN,Group direct message,r5,,"bob@own.example, cat@own.example",m6
"""


@pytest.mark.parametrize(
    "text", [CHAT, CHAT.replace("User to user direct message", "USER_TO_USER_DIRECT_MESSAGE").replace("Message posted", "message_posted")]
)
@pytest.mark.parametrize("named", [None, "google-chat"])
def test_a_chat_log_gives_messages_whose_reader_is_certain(tmp_path: Path, text: str, named: str | None) -> None:
    rows, notes = read(tmp_path, text, format=named)
    assert seen(rows) == [("03-01 09:00", "ann", ["bob"]), ("03-01 09:05", "bob", ["ann"]), ("03-01 09:09", "ann", ["bob", "cat"])]
    assert [row["medium"] for row in rows] == ["teams_chat", "teams_chat", "teams_group_chat"]
    assert {"2 rows were left out: readers_not_in_the_log", "1 rows were left out: with_an_app", "1 rows were left out: no_message"} <= set(
        notes
    )


# -- Zoom ---------------------------------------------------------------------------------------------------------------

ABOUT = f"""\
Meeting ID,Topic,Start Time,End Time,User Email,Duration (Minutes),Participants
812 3456 7890,{SECRET},03/13/2026 09:00:00 AM,03/13/2026 10:00:00 AM,ann@own.example,60,4

"""
PARTICIPANTS = f"""\
Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes),Guest,In Waiting Room
{SECRET},ann@own.example,03/13/2026 09:00:00 AM,03/13/2026 10:00:00 AM,60,No,No
{SECRET},bob@own.example,03/13/2026 09:05:00 AM,03/13/2026 09:20:00 AM,15,No,No
{SECRET},bob@own.example,03/13/2026 09:30:00 AM,03/13/2026 10:00:00 AM,30,No,No
{SECRET},,03/13/2026 09:30:00 AM,03/13/2026 10:00:00 AM,30,Yes,No
{SECRET},dan@own.example,03/13/2026 09:30:00 AM,03/13/2026 09:31:00 AM,1,No,Yes
"""


@pytest.mark.parametrize("text", [ABOUT + PARTICIPANTS, PARTICIPANTS], ids=["with the meeting", "participants alone"])
@pytest.mark.parametrize("named", [None, "zoom"])
def test_a_zoom_report_gives_the_meeting(tmp_path: Path, text: str, named: str | None) -> None:
    rows, notes = read(tmp_path, text, format=named, time_zone="America/New_York")
    assert seen(rows) == [("03-13 13:00", "ann", ["ann", "bob"])]
    assert (rows[0]["medium"], rows[0]["minutes"]) == ("meeting_online", 60)
    assert {"1 rows were left out: no_address", "1 rows were left out: waiting_room"} <= set(notes)


def test_zoom_without_times_of_joining_has_that_of_the_meeting(tmp_path: Path) -> None:
    people = "Name (Original Name),User Email,Total Duration (Minutes),Guest\nx,bob@own.example,45,No\nx,cat@own.example,50,No\n"
    rows, notes = read(tmp_path, ABOUT + people)
    assert seen(rows) == [("03-13 09:00", "ann", ["ann", "bob", "cat"])]
    assert any("taken as UTC's" in note for note in notes)


def test_zoom_writes_the_month_first_before_am_and_pm(tmp_path: Path) -> None:
    early = PARTICIPANTS.replace("03/13/", "03/04/")
    rows, notes = read(tmp_path, early)
    assert rows[0]["occurred_at"].date() == datetime(2026, 3, 4, tzinfo=UTC).date()
    assert any("month-first" in note for note in notes)
    assert read(tmp_path, early, date_order="day-first")[0][0]["occurred_at"].month == 4
    with pytest.raises(UserError, match="--date-order"):
        read(tmp_path, early.replace(" AM", ""))
    # a row that tells wins
    assert read(tmp_path, PARTICIPANTS.replace("03/13/", "13/03/"))[0][0]["occurred_at"].day == 13


def test_zoom_of_several_meetings_keeps_them_apart(tmp_path: Path) -> None:
    text = "Topic,Meeting ID,Name (Original Name),User Email,Join Time,Leave Time,Duration (Minutes)\n" + "".join(
        f"{SECRET},{meeting},x,{name}@own.example,2026-03-{day} 09:00:00,2026-03-{day} 09:30:00,30\n"
        for meeting, day, name in [("1", "02", "ann"), ("1", "02", "bob"), ("1", "09", "ann"), ("1", "09", "cat"), ("2", "02", "dan")]
    )
    rows, notes = read(tmp_path, text)
    assert seen(rows) == [("03-02 09:00", "ann", ["ann", "bob"]), ("03-09 09:00", "ann", ["ann", "cat"])]
    assert "1 rows were left out: alone" in notes


# -- networks -----------------------------------------------------------------------------------------------------------

VIVA = """\
PrimaryCollaborator_PersonId,SecondaryCollaborator_PersonId,MetricDate,Diverse tie score,Diverse tie type,Strong tie score,Strong tie type,\
PrimaryCollaborator_Organization,SecondaryCollaborator_Organization
p1,p2,2026-03-01,0,0,25,1,Sales,Ops
p2,p1,2026-03-01,0,0,25,1,Ops,Sales
p1,p3,2026-03-01,0,0,0,0,Sales,Ops
p1,p3,2026-03-08,4,1,0,0,Sales,Ops
"""


@pytest.mark.parametrize("named", [None, "viva-p2p"])
def test_viva_gives_each_tie_once_a_period(tmp_path: Path, named: str | None) -> None:
    rows, notes = read(tmp_path, VIVA, format=named)
    assert [(at, sorted({one, *others})) for at, one, others in seen(rows)] == [
        ("03-01 00:00", ["p1", "p2"]),
        ("03-08 00:00", ["p1", "p3"]),
    ]
    assert {row["medium"] for row in rows} == {"meeting_unknown"}
    assert "1 rows were left out: no_tie" in notes
    assert {row["medium"] for row in read(tmp_path, VIVA, medium="email")[0]} == {"email"}


def test_viva_without_a_period_is_refused(tmp_path: Path) -> None:
    text = "TieOrigin_PersonId,TieOrigin_Organization,TieDestination_PersonId,StrongTieType,StrongTieScore\np1,Sales,p2,1,25\n"
    with pytest.raises(UserError, match=r"as viva-p2p it lacks at; at is a column such as metricdate"):
        read(tmp_path, text)


ORGNET = {
    "email": (
        f"id,sender_id,recipient_id,timestamp,subject,response_time_seconds,is_reciprocal\n"
        f"m1,emp001,emp002,2026-03-01T09:00:00,{SECRET},3600,True\nm2,emp002,emp001,2026-03-01T10:00:00,{SECRET},0,True\n",
        [("03-01 09:00", "emp001", ["emp002"]), ("03-01 10:00", "emp002", ["emp001"])],
        "email",
    ),
    "slack": (
        f"id,user_id,target_user_id,timestamp,channel,is_dm\n"
        f"s1,emp001,,2026-03-01T09:00:00,{SECRET},False\ns2,emp002,emp001,2026-03-01T10:00:00,,True\n",
        [("03-01 10:00", "emp002", ["emp001"])],
        "slack_dm",
    ),
    "calendar": (
        f"id,organizer_id,attendee_ids,start_time,end_time,is_recurring,meeting_type,subject\n"
        f'c1,emp001,"emp002,emp003",2026-03-01T09:00:00,2026-03-01T09:45:00,False,standup,{SECRET}\n',
        [("03-01 09:00", "emp001", ["emp001", "emp002", "emp003"])],
        "meeting_unknown",
    ),
    "edges": (
        "source,target,weight,timestamp\nemp001,emp002,3,2026-03-01T09:00:00\n",
        [("03-01 09:00", "emp001", ["emp002"])],
        "email",
    ),
}


@pytest.mark.parametrize("kind", ORGNET)
@pytest.mark.parametrize("named", [None, "orgnet"])
def test_orgnet_and_edge_lists(tmp_path: Path, kind: str, named: str | None) -> None:
    text, expected, medium = ORGNET[kind]
    rows, _ = read(tmp_path, text, format=named)
    assert seen(rows) == expected
    assert {row["medium"] for row in rows} == {medium}


def test_an_edge_list_without_a_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="as orgnet it lacks at"):
        read(tmp_path, "from,to,weight\np1,p2,3\n", format="orgnet")


def test_the_people_of_orgnet(tmp_path: Path) -> None:
    (tmp_path / "hris.csv").write_text(
        "person_id,department,role,team,start_date,manager_id,name,email\nemp001,E,x,Backend,2020-01-15,emp002,x,x@x\n"
    )
    (tmp_path / "export.csv").write_text(ORGNET["email"][0])
    batches = list(events_file.read(tmp_path / "export.csv", NAMES, people=tmp_path / "hris.csv", now=NOW))
    (place,) = [row for batch in batches if "membership" in batch.records for row in batch.records["membership"].to_pylist()]
    assert (PEOPLE[place["account_key"]], place["team"], str(place["joined_on"])) == ("emp001", "Backend", "2020-01-15")


# -- all of them --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [POWERSHELL, ENHANCED, CALENDAR, CHAT, ABOUT + PARTICIPANTS, VIVA, ORGNET["email"][0]])
def test_importing_again_gives_the_same_keys(tmp_path: Path, text: str) -> None:
    first, second = (sorted(row["interaction_key"] for row in read(tmp_path, text)[0]) for _ in range(2))
    assert first == second


def test_a_format_that_is_none_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format: no such format; known are message-trace"):
        read(tmp_path, VIVA, format="orgchart")
    with pytest.raises(UserError, match="as zoom it lacks email"):
        read(tmp_path, VIVA, format="zoom")
    with pytest.raises(UserError, match="Read as they are: message-trace"):
        read(tmp_path, "one,two,three\n1,2,3\n")
