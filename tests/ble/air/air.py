"""A room full of virtual Bluetooth controllers that hear each other.

    air.py COUNT [--port N --interval MS --phy 1|2 --loss P --max-octets N --buffers N --seed S]

opens COUNT TCP ports, says them in one line ("air: 41001 41002"), and serves until its standard input
ends. Each connection to a port is a controller that was just switched on, in HCI H4; closing it is a
power cut. Controllers are Bumble's, with these gaps closed: data buffers as long as LE packets can
be, the peripheral is asked for its key when a link is encrypted (and a wrong or missing one ends the
link), HCI Reset resets, a connection attempt can be cancelled, the second half of a connection hears
of the first one's end, data length, PHY and connection parameters can be changed.

Without --interval data passes at once. With it there is air time: see link_model.py.
"""

import argparse
import asyncio
import logging
import struct
import sys

from bumble import hci, link, ll
from bumble.controller import Connection, Controller
from bumble.core import PhysicalTransport
from bumble.transport.common import PacketParser

from link_model import LinkModel, Pace

CONNECTION_TIMEOUT = 0x08
KEY_MISSING = 0x06
MIC_FAILURE = 0x3D
NOT_ESTABLISHED = 0x3E
FIRST, CONTINUATION = 2, 1


class AirConnection(Connection):
    """One end of a connection. Data goes on by HCI packet, not by L2CAP frame, as over a real link."""

    __hash__, __eq__ = object.__hash__, object.__eq__

    def __post_init__(self):
        super().__post_init__()
        self.octets, self.phy = 27, 1
        self.model = None  # of the pair, when there is air time
        self.ltk = None

    def on_hci_acl_data_packet(self, packet):
        starts = packet.pb_flag != hci.HCI_ACL_PB_CONTINUATION
        self.controller.air.carry(self, starts, packet.data)

    def sent(self):
        self.controller.send_hci_packet(hci.HCI_Number_Of_Completed_Packets_Event(
            connection_handles=[self.handle], num_completed_packets=[1]))

    def arrived(self, starts, data):
        self.controller.send_hci_packet(hci.HCI_AclDataPacket(
            self.handle, FIRST if starts else CONTINUATION, 0, len(data), data))


class AirController(Controller):
    le_acl_data_packet_length = 251
    supported_max_tx_octets = supported_max_rx_octets = 251
    supported_max_tx_time = supported_max_rx_time = 2120

    def __init__(self, air, name, sink):
        super().__init__(name, host_sink=sink, link=air, public_address=air.new_address())
        self.air = air
        self.total_num_le_acl_data_packets = air.pace.buffers
        self.off = False

    def send_hci_packet(self, packet):
        if not self.off:
            self.host.on_packet(bytes(packet))

    def switch_off(self):
        """Power cut: the others notice by silence."""
        self.reset(tell=False)
        self.off = True
        self.link.remove_controller(self)

    def reset(self, tell):
        self.le_legacy_advertiser.stop()
        self.le_scan_enable = False
        self.pending_le_connection = None
        for connection in list(self.le_connections.values()):
            self.air.end(connection, CONNECTION_TIMEOUT)
            self.le_connections.pop(connection.peer_address, None)

    def on_hci_reset_command(self, command):
        self.reset(tell=True)
        return super().on_hci_reset_command(command)

    # Both ends of a connection are ours.

    def on_le_connect_ind(self, packet):
        known = set(self.le_connections)
        super().on_le_connect_ind(packet)
        for address in set(self.le_connections) - known:
            self._adopt(address, packet.interval)

    def create_le_connection(self, peer_address):
        pending = self.pending_le_connection
        super().create_le_connection(peer_address)
        interval = getattr(pending, "connection_interval_max", None) or 24
        if peer_address in self.le_connections:
            self._adopt(peer_address, interval)

    def _adopt(self, address, interval):
        plain = self.le_connections[address]
        if not isinstance(plain, AirConnection):
            self.le_connections[address] = AirConnection(
                controller=self, handle=plain.handle, role=plain.role, self_address=plain.self_address,
                peer_address=plain.peer_address, link=plain.link, transport=plain.transport,
                link_type=plain.link_type)
        self.le_connections[address].interval = interval

    def on_ll_control_pdu(self, sender_address, packet):
        if sender_address in self.le_connections:  # else it crossed the link's end
            super().on_ll_control_pdu(sender_address, packet)

    def on_hci_disconnect_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        self._send_hci_command_status(
            hci.HCI_COMMAND_STATUS_PENDING if connection else 0x02, command.op_code)
        if connection:
            self.air.end(connection, command.reason)
            self.on_le_disconnected(connection, 0x16)

    def on_hci_le_create_connection_cancel_command(self, command):
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is not None:
            asyncio.get_running_loop().call_soon(self.send_hci_packet, hci.HCI_LE_Connection_Complete_Event(
                status=0x02, connection_handle=0, role=0, peer_address_type=0, peer_address=pending.peer_address,
                connection_interval=0, peripheral_latency=0, supervision_timeout=0,
                central_clock_accuracy=0))
        return hci.HCI_StatusReturnParameters(0 if pending else 0x0C)

    # Encryption: the peripheral's host must have the central's key.

    def on_hci_le_enable_encryption_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        other = connection and self.air.other_end(connection)
        if other:
            connection.ltk = bytes(command.long_term_key)
            other.controller.send_hci_packet(hci.HCI_LE_Long_Term_Key_Request_Event(
                connection_handle=other.handle, random_number=command.random_number,
                encryption_diversifier=command.encrypted_diversifier))

    def on_hci_le_long_term_key_request_reply_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        central = self.air.other_end(connection)
        loop = asyncio.get_running_loop()
        if central and central.ltk == bytes(command.long_term_key):
            for end in (connection, central):
                loop.call_soon(end.controller.send_hci_packet, hci.HCI_Encryption_Change_Event(
                    status=0, connection_handle=end.handle, encryption_enabled=1))
        elif central:
            loop.call_soon(self.air.break_off, connection, MIC_FAILURE)
        return hci.HCI_StatusAndConnectionHandleReturnParameters(0, command.connection_handle)

    def on_hci_le_long_term_key_request_negative_reply_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        central = self.air.other_end(connection)
        if central:
            central.controller.send_hci_packet(hci.HCI_Encryption_Change_Event(
                status=KEY_MISSING, connection_handle=central.handle, encryption_enabled=0))
        return hci.HCI_StatusAndConnectionHandleReturnParameters(0, command.connection_handle)

    # Parameters of the link.

    def _tell_both(self, connection, event):
        for end in (connection, self.air.other_end(connection)):
            if end:
                end.controller.send_hci_packet(event(end))

    def on_hci_le_set_data_length_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        octets = min(command.tx_octets, self.air.pace.max_octets)
        for end in (connection, self.air.other_end(connection)):
            if end:
                end.octets = octets
        asyncio.get_running_loop().call_soon(
            self._tell_both, connection, lambda end: hci.HCI_LE_Data_Length_Change_Event(
                connection_handle=end.handle, max_tx_octets=octets, max_tx_time=2120,
                max_rx_octets=octets, max_rx_time=2120))
        return hci.HCI_StatusAndConnectionHandleReturnParameters(0, command.connection_handle)

    def on_hci_le_set_phy_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        phy = min(self.air.pace.phy, 2 if command.tx_phys & 2 else 1)
        for end in (connection, self.air.other_end(connection)):
            if end:
                end.phy = phy
        self._tell_both(connection, lambda end: hci.HCI_LE_PHY_Update_Complete_Event(
            status=0, connection_handle=end.handle, tx_phy=hci.Phy(phy), rx_phy=hci.Phy(phy)))

    def on_hci_le_connection_update_command(self, command):
        connection = self.find_le_connection_by_handle(command.connection_handle)
        self._send_hci_command_status(hci.HCI_COMMAND_STATUS_PENDING, command.op_code)
        interval = command.connection_interval_max
        self._tell_both(connection, lambda end: hci.HCI_LE_Connection_Update_Complete_Event(
            status=0, connection_handle=end.handle, connection_interval=interval,
            peripheral_latency=command.max_latency, supervision_timeout=command.supervision_timeout))


class Air(link.LocalLink):
    def __init__(self, pace):
        super().__init__()
        self.pace, self.addresses = pace, 0

    def new_address(self):
        self.addresses += 1
        return hci.Address(f"C0:DE:00:00:{self.addresses >> 8:02X}:{self.addresses & 255:02X}",
                           hci.Address.PUBLIC_DEVICE_ADDRESS)

    def other_end(self, connection):
        for controller in self.controllers:
            end = controller.le_connections.get(connection.self_address)
            if end and end.self_address == connection.peer_address:
                return end
        return None

    def end(self, connection, reason):
        """The other end hears that the connection is over."""
        other = self.other_end(connection)
        if connection.model:
            connection.model.stop()
        if other:
            other.controller.on_le_disconnected(other, reason)

    def break_off(self, connection, reason):
        self.end(connection, reason)
        if connection.peer_address in connection.controller.le_connections:
            connection.controller.on_le_disconnected(connection, reason)

    def carry(self, connection, starts, data):
        other = self.other_end(connection)
        if other is None:
            connection.sent()
            asyncio.get_running_loop().call_soon(self.break_off, connection, NOT_ESTABLISHED)
        elif self.pace.interval is None:
            connection.sent()
            other.arrived(starts, data)
        else:
            if connection.model is None:
                central, peripheral = (
                    (connection, other) if connection.role == hci.Role.CENTRAL else (other, connection))
                connection.model = other.model = LinkModel(self.pace, central, peripheral)
            connection.model.send(connection, starts, data)


class Port:
    """A TCP port behind which a controller is switched on by connecting."""

    def __init__(self, air, name):
        self.air, self.name = air, name

    async def open(self, number=0):
        server = await asyncio.start_server(self.serve, "127.0.0.1", number)
        return server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        writer.transport.get_extra_info("socket").setsockopt(6, 1, 1)  # no delay
        controller = AirController(self.air, self.name, self)
        self_sink = _Sink(writer)
        controller.set_packet_sink(self_sink)
        parser = PacketParser(controller)
        try:
            while data := await reader.read(4096):
                parser.feed_data(data)
        except (ConnectionError, struct.error, ValueError) as error:
            logging.warning("%s: %r", self.name, error)
        finally:
            controller.switch_off()
            writer.close()


class _Sink:
    def __init__(self, writer):
        self.writer = writer

    def on_packet(self, packet):
        self.writer.write(packet)


async def main(options):
    pace = Pace(interval=options.interval, phy=options.phy, loss=options.loss,
                max_octets=options.max_octets, buffers=options.buffers, seed=options.seed)
    air = Air(pace)
    ports = [await Port(air, f"controller {i}").open(options.port) for i in range(options.count)]
    print("air:", *ports, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--port", type=int, default=0, help="of the only one; default: the system chooses")
    parser.add_argument("--interval", type=float, help="connection interval in ms; default: no air time")
    parser.add_argument("--phy", type=int, default=2, help="fastest PHY that the link agrees to, Mbit/s")
    parser.add_argument("--loss", type=float, default=0.0, help="share of packets lost and sent again")
    parser.add_argument("--max-octets", type=int, default=251)
    parser.add_argument("--buffers", type=int, default=12, help="data packets that a controller holds")
    parser.add_argument("--seed", type=int, default=1)
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main(parser.parse_args()))
