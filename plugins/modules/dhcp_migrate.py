# Copyright (c) 2026, the fieldnotes.windows contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Documentation of the action plugin of the same name. The action plugin reads its argument specification from here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dhcp_migrate
short_description: Move a Windows DHCP server with its leases
version_added: 0.1.0
author:
  - fieldnotes.windows contributors (@fieldnotes)
description:
  - Moves the complete configuration of a Windows DHCP server B(and its leases) to another server. It never loses a
    lease, never lets two servers lease the same scope, and never leaves the network without a DHCP server after a
    failed run.
  - It runs once on each of the two hosts, normally through the role P(fieldnotes.windows.dhcp_migrate#role). The old
    server gets O(state=exported), then the new one O(state=imported).
  - The data travels from the old server to the controller and from there to the new server. A manifest on the
    controller describes everything that the import must reproduce.
  - The point of no return is the authorization of the new server. Before it, a failed run brings the server back as
    it was. After it, nothing is undone, because clients may have got leases from the new server.
  - It moves whole servers. Single scopes, clustered DHCP, and DHCP servers of other vendors are out of scope.
options:
  state:
    description:
      - V(exported) is for the old server. The store is verified and copied to the controller with a backup of the
        database. The service is stopped and disabled, and its authorization is removed.
      - V(imported) is for the new server. The role is installed, everything is equal to the manifest, and the service
        runs, starts with Windows, and is authorized.
      - V(rolled_back) brings the host back as it was before V(exported) or V(imported) of the same O(migration_id).
      - V(cleaned) deletes the files on the host and the journal. It is allowed when the migration is completed or
        rolled back.
      - V(inventoried) changes nothing and returns RV(inventory).
    type: str
    required: true
    choices:
      - exported
      - imported
      - rolled_back
      - cleaned
      - inventoried
  migration_id:
    description:
      - Names the journal, the manifest, and the folders. The same value on the old and on the new server, and another
        one for each migration.
      - Letters, digits, C(_), and C(-), at most 64, with a letter or a digit at the start.
      - Required except for O(state=inventoried).
    type: str
  method:
    description:
      - V(dhcpserver) uses C(Export-DhcpServer) and C(Import-DhcpServer) of Windows Server 2012 and later.
      - V(smig) uses the Windows Server Migration Tools. They can also move users, groups, and addresses.
      - V(auto) takes V(dhcpserver) when the old server runs Windows Server 2012 or later and O(users) and O(ip_config)
        are V(none), else V(smig). The import takes the method of the manifest.
    type: str
    default: auto
    choices:
      - auto
      - smig
      - dhcpserver
  controller_dir:
    description:
      - Directory on the controller. The module uses the folder O(migration_id) in it, with mode 0700 and files 0600.
      - Required for O(state=exported), O(state=imported), and O(state=rolled_back). With O(state=cleaned) the manifest
        there tells whether the migration is over. On the old server it is the only place that does.
    type: path
  base_path:
    description:
      - Local folder on the host. The folder O(migration_id) is made in it.
    type: str
    default: C:\DHCP\fieldnotes
  store_password:
    description:
      - Password of the migration store. It travels as SecureString.
      - Required when the method is V(smig) and O(state) is V(exported) or V(imported).
      - It needs 6 to 260 characters, and without O(allow_weak_password) at least 12 characters of three kinds (lower
        case, upper case, digits, others).
    type: str
  allow_weak_password:
    description:
      - Accept a password that Windows accepts.
    type: bool
    default: false
  authorized:
    description:
      - Wanted authorization of this host in Active Directory at the end.
      - The default is V(false) for O(state=exported) and V(true) for O(state=imported). With O(state=rolled_back) it is
        what it was before.
      - V(true) with O(state=exported) is a rehearsal. The server serves again when the export is over, and the manifest
        is not final.
      - V(false) with O(state=imported) stops and disables the new server after the verification. A later run with
        V(true) goes on from there.
    type: bool
  authorize_via:
    description:
      - Inventory name of a host on which the authorization list is read and changed, such as a domain controller with
        the DHCP tools (feature RSAT-DHCP). Its own connection variables are used.
      - By default this host is used, which needs a connection that delegates the credentials (CredSSP, or Kerberos with
        delegation).
    type: str
  dns_name:
    description:
      - Name of the authorization entry. The default is the fully qualified name of this host.
    type: str
  ip_address:
    description:
      - Address of the authorization entry. The default is the only static IPv4 address of this host.
    type: str
  peer_host:
    description:
      - Inventory name of the other server. Its own connection variables are used.
    type: str
  peer_asserted_offline:
    description:
      - State that the other server is switched off or isolated. Only used without O(peer_host).
    type: bool
    default: false
  target_is_dc:
    description:
      - Whether the new server is a domain controller. Needed for O(state=exported) with the method V(smig) on a domain
        controller when accounts are exported and O(peer_host) is not given.
    type: bool
  users:
    description:
      - Local users that the migration tools move.
    type: str
    default: none
    choices:
      - none
      - enabled
      - disabled
      - all
  groups:
    description:
      - Move the groups. With the method V(dhcpserver) the two DHCP groups are made, and their members only compared.
    type: bool
    default: true
  allow_account_promotion:
    description:
      - Accept that local accounts of a member server become domain accounts on a domain controller.
    type: bool
    default: false
  ip_config:
    description:
      - Addresses that the migration tools move. V(none) is the safest choice. Set the address with a task of its own.
    type: str
    default: none
    choices:
      - none
      - nic
      - global
      - all
  mac_map:
    description:
      - Which adapter of the new server takes the addresses of which adapter of the old one. Required for
        O(state=imported) with O(ip_config=nic) or O(ip_config=all).
    type: list
    elements: dict
    default: []
    suboptions:
      source:
        description: Hardware address of the adapter of the old server, with any or no separators.
        type: str
        required: true
      target:
        description: Hardware address of the adapter of the new server, with any or no separators.
        type: str
        required: true
  reconnect_host:
    description:
      - Address of the new server after its address has changed. Required for O(state=imported) with O(ip_config=nic)
        or O(ip_config=all).
    type: str
  reconnect_timeout:
    description:
      - Seconds to wait for the new server at O(reconnect_host), from 30 to 3600.
    type: int
    default: 600
  failover_policy:
    description:
      - What to do with failover relationships. V(remove) deletes them on the old server, which deletes their scopes on
        the partner. They are never imported, and a rollback cannot put them back, because their shared secret
        cannot be read.
    type: str
    default: refuse
    choices:
      - refuse
      - remove
  freeze:
    description:
      - How the old server is kept from changing leases during the export.
      - V(auto) pauses the service where it accepts that and measures the effect. Else it stops the service (V(smig)) or
        removes the authorization first (V(dhcpserver) in a domain).
    type: str
    default: auto
    choices:
      - auto
      - stop
      - pause
      - unauthorize
  overwrite_target:
    description:
      - Accept that the new server has scopes already. Scopes with the same ScopeId are replaced. What else was
        there before stays and is reported as a warning.
    type: bool
    default: false
  allow_differences:
    description:
      - Categories of RV(inventory) whose differences are warnings instead of failures.
    type: list
    elements: str
    default: []
  rollback_on_failure:
    description:
      - V(false) stops where it failed and keeps the journal.
    type: bool
    default: true
  store_on_target:
    description:
      - Whether O(state=cleaned) deletes the files on the host.
    type: str
    default: wipe
    choices:
      - wipe
      - keep
  remove_role:
    description:
      - Remove the DHCP Server role. Only with O(state=cleaned) on the old server.
    type: bool
    default: false
  allow_reboot:
    description:
      - Accept that the host has a pending restart, and restart it where the installation of the role needs it.
    type: bool
    default: false
  service_timeout:
    description:
      - Seconds to wait for a state of the service, from 10 to 3600.
    type: int
    default: 300
  operation_timeout:
    description:
      - Seconds that an export or import may take, from 60 to 86400.
    type: int
    default: 3600
  authorization_timeout:
    description:
      - Seconds to wait for a change of the authorization, from 10 to 7200.
    type: int
    default: 300
attributes:
  check_mode:
    details: Makes all reads and refusals, opens no freeze, and returns the plan. Nothing is written anywhere.
  diff_mode:
    details: Shows service, start mode, authorization, and counts, never a lease.
extends_documentation_fragment:
  - fieldnotes.windows._attributes
  - fieldnotes.windows._connection
  - fieldnotes.windows._journal
notes:
  - The journal stays on the host after V(exported) and V(imported), because the other side reads it. O(state=cleaned)
    deletes it. What was imported is remembered for good under C(HKLM\SOFTWARE\fieldnotes.windows\History\dhcp_migrate).
  - Files travel in the session through C(Get-Content), C(Set-Content), and C(Add-Content) with bytes, in chunks, with
    SHA-256 on both sides. The file operations of the connection plugins are not used, because they send
    PowerShell scripts.
  - The credential of DNS dynamic updates and the shared secret of failover relationships cannot be read and do not
    migrate. A warning names them.
  - This module has never run against real Windows.
seealso:
  - name: Migrate DHCP Server
    description: The vendor's guide for the same task by hand.
    link: https://learn.microsoft.com/windows-server/networking/technologies/dhcp/migrate-dhcp-server
  - name: Export-DhcpServer
    description: The cmdlet behind the method V(dhcpserver).
    link: https://learn.microsoft.com/powershell/module/dhcpserver/export-dhcpserver
  - name: Export-SmigServerSetting
    description: The cmdlet behind the method V(smig).
    link: https://learn.microsoft.com/powershell/module/microsoft.windows.servermanager.migration/export-smigserversetting
"""

EXAMPLES = r"""
- name: See what the old server has
  fieldnotes.windows.dhcp_migrate:
    state: inventoried
  register: dhcp

- name: Rehearse the export, the server serves again afterwards
  fieldnotes.windows.dhcp_migrate:
    state: exported
    migration_id: rehearsal-1
    controller_dir: /srv/dhcp
    authorize_via: dc1
    authorized: true

- name: Export the old server and retire it
  fieldnotes.windows.dhcp_migrate:
    state: exported
    migration_id: bert-2026
    controller_dir: /srv/dhcp
    authorize_via: dc1

- name: Import on the new server and let it serve
  fieldnotes.windows.dhcp_migrate:
    state: imported
    migration_id: bert-2026
    controller_dir: /srv/dhcp
    authorize_via: dc1
    peer_host: bert-old

- name: Remove what is left on the old server after an observation period
  fieldnotes.windows.dhcp_migrate:
    state: cleaned
    migration_id: bert-2026
    controller_dir: /srv/dhcp
    authorize_via: dc1
    remove_role: true
"""

RETURN = r"""
migration_id:
  description: Name of the migration.
  returned: success
  type: str
  sample: bert-2026
method:
  description: Method of the migration, V(smig) or V(dhcpserver).
  returned: success
  type: str
  sample: dhcpserver
freeze_used:
  description: How the leases of the old server were frozen.
  returned: success
  type: str
  sample: pause
phase:
  description: How far the migration is, V(exported), V(retired), V(authorizing), V(completed), or V(rolled_back).
  returned: success
  type: str
  sample: retired
before:
  description: What was there when the task began.
  returned: success
  type: dict
  contains: &state
    service:
      description: State of the service C(DHCPServer), or V(Absent).
      type: str
      sample: Running
    start_mode:
      description: Start mode of the service.
      type: str
      sample: Automatic
    authorized:
      description: Whether the authorization list has this host. Null in a workgroup.
      type: bool
    counts:
      description: Number of records of each category. Empty where the service does not answer.
      type: dict
    files:
      description: Number of files that the manifest lists.
      type: int
after:
  description: What is there now. In check mode the goal.
  returned: success
  type: dict
  contains: *state
inventory:
  description: What the server has, without any record.
  returned: success
  type: dict
  contains:
    level:
      description: V(full), or V(counts) for Windows Server 2008 and 2008 R2.
      type: str
    taken_utc:
      description: When it was read.
      type: str
    counts:
      description: Number of records of each category.
      type: dict
    digests:
      description: SHA-256 of each category.
      type: dict
    frozen:
      description: Whether the leases were frozen.
      type: bool
manifest_path:
  description: Manifest on the controller.
  returned: success
  type: str
manifest_sha256:
  description: SHA-256 of the manifest without its phase and history.
  returned: success
  type: str
files:
  description: Copies of store and backup on the controller.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Path on the controller.
      type: str
    bytes:
      description: Size.
      type: int
    sha256:
      description: SHA-256 of the content.
      type: str
differences:
  description: Differences between the manifest and the new server by category, at most 100 in each list.
  returned: success
  type: dict
lost_leases:
  description: Leases that the new server must have and has not. Empty on success.
  returned: success
  type: list
  elements: dict
expired_meanwhile:
  description: Number of leases of the manifest that have expired since and need not be there.
  returned: when the new server was compared
  type: int
authorization:
  description: The entry of this host in the authorization list.
  returned: success
  type: dict
  contains:
    before:
      description: Whether it was there. Null in a workgroup.
      type: bool
    after:
      description: Whether it is there now. Null in a workgroup.
      type: bool
    name:
      description: Name of the entry.
      type: str
    ip:
      description: Address of the entry.
      type: str
    via:
      description: Host on which the list is read and changed.
      type: str
service:
  description: State and start mode of the service at the end.
  returned: success
  type: dict
ponr:
  description: Whether the point of no return was passed.
  returned: success
  type: bool
rolled_back:
  description: Whether this run undid its changes.
  returned: success
  type: bool
steps:
  description: The steps in their order. Each name begins with the short name of the step in the journal.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What the step does.
      type: str
      sample: "o09_export: export with Export-DhcpServer"
    status:
      description: One of V(planned), V(done), V(skipped), V(failed), and V(undone).
      type: str
      sample: done
    seconds:
      description: How long the step took.
      type: float
      sample: 21.4
reboot_required:
  description: Whether the host must restart.
  returned: always
  type: bool
resumed:
  description: Whether the task found the journal of an earlier run.
  returned: always
  type: bool
refusal:
  description: Code of the refusal.
  returned: when the task refuses
  type: str
  sample: E_OLD_ALIVE
failure:
  description: What failed and what to do.
  returned: failure
  type: dict
  contains:
    code:
      description: Code of the failure.
      type: str
      sample: E_VERIFY
    step:
      description: Step that failed.
      type: str
      sample: n11_verify
    state_left:
      description: How the host was left.
      type: str
      sample: rolled back
    remedy:
      description: What to do.
      type: str
"""
