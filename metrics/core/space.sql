-- description: Channels, chats, mail threads and meeting series, without their names.
-- grain: source, space_key
-- column: space_key | key | The space, a keyed hash of the source's id.
-- column: source | text | The source.
-- column: kind | text | channel, group_dm, dm, chat, group_chat, mail_thread or meeting_series.
-- column: medium | text | The medium of what happens in it.
-- column: is_private | flag | Whether only invited people see it.
-- column: is_shared | flag | Whether people of another organisation are in it.
-- column: is_archived | flag | Whether it is closed.
-- column: is_standing | flag | Whether it is a recurring meeting series.
-- column: member_count | count | How many members it had when last read, where the source tells.
-- unique: source, space_key
-- not_null: source, space_key, kind
-- restricted: yes
select space_key, source, kind, medium, is_private, is_shared, is_archived, coalesce(is_standing, false) as is_standing, member_count
from raw.space
