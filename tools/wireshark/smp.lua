-- Wireshark and tshark read SMP, the management protocol of MCUboot's and Zephyr's clients.
--
--   tshark -X lua_script:tools/wireshark/smp.lua -r DIR/smp.pcap
--   Wireshark: copy this file into the personal Lua plugin folder (Help, About, Folders)
--
-- Filters are called mcumgr.*: Wireshark's "smp" is another protocol. UDP port 1337; another port by
-- "Decode As". Every datagram is one message:
--
--   0        1      2      4      6         7        8
--   version, flags, size,  group, sequence, command, CBOR of `size` bytes
--   op                     (all big endian)

local smp = Proto("mcumgr", "Simple Management Protocol (mcumgr)")

local operations = { [0] = "read", "read response", "write", "write response" }
local versions = { [0] = "1", "2" }
local groups = {
    [0] = "os", [1] = "image", [2] = "stat", [3] = "settings", [4] = "log", [5] = "crash", [6] = "split",
    [7] = "run", [8] = "fs", [9] = "shell", [10] = "enum", [11] = "transport", [63] = "zephyr",
    [64] = "kedge",
}
local commands = {
    [0] = { [0] = "echo", "echo control", "task stats", "memory pools", "datetime", "reset", "params",
            "info", "bootloader" },
    [1] = { [0] = "state", "upload", "file", "corelist", "coreload", "erase", "slots" },
    [2] = { [0] = "group data", "list" },
    [3] = { [0] = "value", "delete", "commit", "load/save" },
    [8] = { [0] = "file", "status", "hash", "hash types", "close" },
    [9] = { [0] = "execute" },
    [10] = { [0] = "count", "list", "single", "details" },
    [11] = { [0] = "connect", "disconnect", "status" },
    [63] = { [0] = "erase storage" },
    [64] = { [0] = "recorder", "events", "boot report", "history", "policy", "last refusal" },
}

local f = {
    version = ProtoField.uint8("mcumgr.version", "Version", base.DEC, versions, 0x18),
    op = ProtoField.uint8("mcumgr.op", "Operation", base.DEC, operations, 0x07),
    flags = ProtoField.uint8("mcumgr.flags", "Flags", base.HEX),
    size = ProtoField.uint16("mcumgr.length", "Length"),
    group = ProtoField.uint16("mcumgr.group", "Group", base.DEC, groups),
    sequence = ProtoField.uint8("mcumgr.seq", "Sequence"),
    command = ProtoField.uint8("mcumgr.command", "Command"),
    name = ProtoField.string("mcumgr.name", "Name"),
    response_to = ProtoField.framenum("mcumgr.response_to", "Response to", base.NONE, frametype.REQUEST),
    time = ProtoField.relative_time("mcumgr.time", "Time since the request"),
}
smp.fields = { f.version, f.op, f.flags, f.size, f.group, f.sequence, f.command, f.name, f.response_to, f.time }

local truncated = ProtoExpert.new("mcumgr.truncated", "The message is shorter than its length says",
    expert.group.MALFORMED, expert.severity.ERROR)
local longer = ProtoExpert.new("mcumgr.longer", "Bytes behind the message", expert.group.PROTOCOL,
    expert.severity.WARN)
smp.experts = { truncated, longer }

local HEADER = 8
local cbor = Dissector.get("cbor")
local requests, answered -- by ends, sequence, group, command; by frame

function smp.init()
    requests, answered = {}, {}
end

-- The last request with this key; remembered by frame, since frames are looked at in any order later.
local function match(pinfo, response, key)
    local from, to = tostring(pinfo.src) .. pinfo.src_port, tostring(pinfo.dst) .. pinfo.dst_port
    if pinfo.visited then return answered[pinfo.number] end
    if response then
        answered[pinfo.number] = requests[to .. from .. key]
    else
        requests[from .. to .. key] = { number = pinfo.number, time = pinfo.abs_ts }
    end
    return answered[pinfo.number]
end

local function name_of(group, command)
    local known = commands[group] and commands[group][command]
    return (groups[group] or "group " .. group) .. " " .. (known or "command " .. command)
end

function smp.dissector(tvb, pinfo, root)
    if tvb:len() < HEADER then return 0 end
    local op, size = tvb(0, 1):uint() % 8, tvb(2, 2):uint()
    local group, sequence, command = tvb(4, 2):uint(), tvb(6, 1):uint(), tvb(7, 1):uint()
    if op > 3 then return 0 end
    local name, response = name_of(group, command), op % 2 == 1
    local whole = math.min(tvb:len(), HEADER + size)
    local tree = root:add(smp, tvb(0, whole), ("Simple Management Protocol, %s, %s"):format(name, operations[op]))
    tree:add(f.version, tvb(0, 1))
    tree:add(f.op, tvb(0, 1))
    tree:add(f.flags, tvb(1, 1))
    local length = tree:add(f.size, tvb(2, 2))
    tree:add(f.group, tvb(4, 2))
    tree:add(f.sequence, tvb(6, 1))
    tree:add(f.command, tvb(7, 1))
    tree:add(f.name, tvb(4, 4), name):set_generated()
    if tvb:len() < HEADER + size then length:add_proto_expert_info(truncated) end
    if tvb:len() > HEADER + size then length:add_proto_expert_info(longer) end
    local asked = match(pinfo, response, ("/%d/%d/%d"):format(sequence, group, command))
    if asked then
        tree:add(f.response_to, asked.number):set_generated()
        local took = math.max(0, pinfo.abs_ts - asked.time)
        tree:add(f.time, NSTime.new(math.floor(took), math.floor(took % 1 * 1e9))):set_generated()
    end
    if whole > HEADER then pcall(function() cbor:call(tvb(HEADER, whole - HEADER):tvb(), pinfo, tree) end) end
    pinfo.cols.protocol = "SMP"
    pinfo.cols.info = ("%s, %s, sequence %d, %d bytes"):format(name, operations[op], sequence, size)
    return whole
end

DissectorTable.get("udp.port"):add(1337, smp)
