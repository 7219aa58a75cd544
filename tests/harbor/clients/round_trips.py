"""Harbor's clients for Python, used as their documentation shows: what one writes, the other reads.

`hand` is harborapi, written by hand, which validates each answer with pydantic; `made` is
harbor-api-client, which was generated from Harbor's contract. Called by tests/harbor/clients.rs:

    round_trips.py URL PASSWORD PUSHED
    round_trips.py URL PASSWORD --authority FILE

PUSHED is an image `PROJECT/REPOSITORY:TAG` that somebody pushed; there is a chart
`charts/front:0.1.0`, too. FILE is that of the authority under which the server's certificate is:
only what is about it is told. Prints `tag NAME` after each story
that held; whatever does not hold is an exception.
"""

import ast
import asyncio
import json
import os
import sys

import harbor_client
from harbor_client.rest import ApiException
from harborapi import HarborAsyncClient
from harborapi import models as m
from harborapi.exceptions import Conflict, Forbidden, NotFound, Unauthorized

PASSWORD = "Harbor-test-1-password"


class Made:
    """The generated client as somebody."""

    def __init__(self, url, name, secret):
        configuration = harbor_client.Configuration()
        configuration.host = url
        configuration.username = name
        configuration.password = secret
        self.client = harbor_client.ApiClient(configuration)

    def __getattr__(self, name):
        return getattr(harbor_client, name)(self.client)


def hand(url, name, secret):
    """The client written by hand as somebody; it does not try again what was refused."""
    return HarborAsyncClient(url=url, username=name, secret=secret, retry=None)


def number(location):
    return int(location.rsplit("/", 1)[1])


def refused(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiException as error:
        assert error.status == status, error
        return error
    raise AssertionError(f"{call} was not refused with {status}")


async def refuses(kind, awaitable):
    try:
        await awaitable
    except kind:
        return
    raise AssertionError(f"not refused with {kind}")


class Stories:
    def __init__(self, url, password, pushed):
        self.url = url
        self.hand = hand(url, "admin", password)
        self.made = Made(url, "admin", password)
        self.project_name, rest = pushed.split("/", 1)
        self.repository, self.tag = rest.rsplit(":", 1)

    async def ping(self):
        assert await self.hand.ping() == "Pong"
        assert self.made.PingApi.get_ping() == "Pong"

    async def health(self):
        one, other = await self.hand.health_check(), self.made.HealthApi.get_health()
        assert one.status == other.status == "healthy"
        assert {part.name for part in one.components} == {part.name for part in other.components}

    async def systeminfo(self):
        one, other = await self.hand.get_system_info(), self.made.SysteminfoApi.get_system_info()
        assert one.harbor_version == other.harbor_version and "v2." in one.harbor_version
        assert one.auth_mode == other.auth_mode == "db_auth"
        volumes = await self.hand.get_system_volume_info()
        assert volumes.storage[0].total >= volumes.storage[0].free > 0
        assert self.made.SysteminfoApi.get_volumes().storage[0].total == volumes.storage[0].total

    async def project(self):
        before = self.made.StatisticApi.get_statistic().private_project_count
        place = await self.hand.create_project(m.ProjectReq(
            project_name="trips", metadata=m.ProjectMetadata(public="false"), storage_limit=10**9))
        shown = self.made.ProjectApi.get_project("trips")
        assert place.endswith("/projects/trips") and shown.metadata.public == "false"
        await refuses(Conflict, self.hand.create_project(m.ProjectReq(project_name="trips")))
        assert await self.hand.project_exists("trips")
        assert not await self.hand.project_exists("nowhere")
        refused(404, self.made.ProjectApi.head_project, "nowhere")
        self.made.ProjectApi.update_project("trips", harbor_client.ProjectReq(
            metadata=harbor_client.ProjectMetadata(public="true")))
        assert (await self.hand.get_project(shown.project_id)).metadata.public == "true"
        listed = await self.hand.get_projects(query="name=~trip", sort="-name")
        assert [project.name for project in listed] == ["trips"]
        listed = self.made.ProjectApi.list_projects(name="trips", public=True)
        assert [project.project_id for project in listed] == [shown.project_id]
        assert (await self.hand.get_project_summary("trips")).quota.hard.root["storage"] == 10**9
        assert self.made.ProjectApi.get_project_summary("trips").quota.hard["storage"] == 10**9
        deletable = await self.hand.get_project_deletable(self.project_name)
        assert not deletable.deletable and deletable.message
        refused(412, self.made.ProjectApi.delete_project, self.project_name)
        assert self.made.ProjectApi.get_project_deletable("trips").deletable
        assert self.made.StatisticApi.get_statistic().private_project_count == before
        self.made.ProjectApi.delete_project("trips")
        await refuses(NotFound, self.hand.get_project("trips"))
        await self.hand.create_project(m.ProjectReq(project_name="shop"))
        again = await self.hand.get_project("shop")
        assert again.project_id != shown.project_id and again.owner_name == "admin"

    async def statistic(self):
        one, other = await self.hand.get_statistics(), self.made.StatisticApi.get_statistic()
        assert one.total_repo_count == other.total_repo_count > 0
        assert one.total_storage_consumption == other.total_storage_consumption > 0

    async def search(self):
        found = await self.hand.search(self.repository)
        names = [repository.repository_name for repository in found.repository]
        assert f"{self.project_name}/{self.repository}" in names
        assert [project.name for project in self.made.SearchApi.search("shop").project] == ["shop"]

    async def project_metadata(self):
        api = self.made.ProjectMetadataApi
        await self.hand.set_project_metadata("shop", m.ProjectMetadata(auto_scan="true"))
        api.add_project_metadatas("shop", metadata={"severity": "low"})
        assert api.list_project_metadatas("shop")["auto_scan"] == "true"
        await self.hand.update_project_metadata_entry("shop", "auto_scan", {"auto_scan": "false"})
        assert api.get_project_metadata("shop", "auto_scan") == {"auto_scan": "false"}
        api.update_project_metadata("shop", "severity", metadata={"severity": "high"})
        shown = await self.hand.get_project_metadata("shop")
        assert shown.severity == "high" and shown.public == "false"
        api.delete_project_metadata("shop", "severity")
        assert await self.hand.get_project_metadata_entry("shop", "severity") == {}
        await self.hand.delete_project_metadata_entry("shop", "auto_scan")
        assert api.get_project_metadata("shop", "auto_scan") == {}

    async def user(self):
        api = self.made.UserApi
        user = number(await self.hand.create_user(m.UserCreationReq(
            username="ann", password=PASSWORD, realname="Ann", email="ann@example.org")))
        shown = api.get_user(user)
        assert (shown.username, shown.email) == ("ann", "ann@example.org")
        assert (await self.hand.get_user_by_username("ann")).user_id == user
        assert [found.user_id for found in api.search_users("an")] == [user]
        found = await self.hand.search_users_by_username("an")
        assert [one.username for one in found] == ["ann"]
        api.update_user_profile(user, harbor_client.UserProfile(
            realname="Ann B.", email="b@example.org", comment="of the shop"))
        listed = await self.hand.get_users(query="username=ann")
        assert [(one.realname, one.comment) for one in listed] == [("Ann B.", "of the shop")]
        assert Made(self.url, "ann", PASSWORD).UserApi.get_current_user_info().user_id == user
        ann = hand(self.url, "ann", PASSWORD)
        assert not (await ann.get_current_user()).sysadmin_flag
        await refuses(Forbidden, ann.get_users())
        await self.hand.set_user_admin(user, True)
        assert len(await ann.get_users()) == len(api.list_users())
        api.set_user_sys_admin(user, harbor_client.UserSysAdminFlag(sysadmin_flag=False))
        await refuses(Forbidden, ann.get_users())
        await ann.set_user_password(user, "Another-2-password", old_password=PASSWORD)
        await refuses(Unauthorized, ann.get_current_user())
        renewed = Made(self.url, "ann", "Another-2-password")
        assert renewed.UserApi.get_current_user_info().username == "ann"
        refused(412, api.set_cli_secret, user, harbor_client.OIDCCliSecretReq(secret=PASSWORD))
        api.update_user_password(user, harbor_client.PasswordReq(new_password=PASSWORD))
        assert (await ann.get_current_user()).username == "ann"
        extra = number(await self.hand.create_user(
            m.UserCreationReq(username="bob", password=PASSWORD, realname="Bob")))
        await self.hand.delete_user(extra)
        refused(404, api.get_user, extra)

    async def usergroup(self):
        api = self.made.UsergroupApi
        group = number(await self.hand.create_usergroup(m.UserGroup(
            group_name="builders", group_type=2)))
        assert api.get_user_group(group).group_name == "builders"
        api.update_user_group(group, usergroup=harbor_client.UserGroup(group_name="makers"))
        assert (await self.hand.get_usergroup(group)).group_name == "makers"
        assert [found.id for found in await self.hand.search_usergroups("mak")] == [group]
        assert [found.id for found in api.search_user_groups("mak")] == [group]
        assert [found.id for found in await self.hand.get_usergroups()] == [group]
        member = number(await self.hand.add_project_member_group("shop", group, 3))
        assert self.made.MemberApi.get_project_member("shop", member).entity_name == "makers"
        await self.hand.delete_usergroup(group)
        assert api.list_user_groups() == []
        refused(404, self.made.MemberApi.get_project_member, "shop", member)

    async def member(self):
        api = self.made.MemberApi
        ann = hand(self.url, "ann", PASSWORD)
        await refuses(Forbidden, ann.get_project("shop"))
        member = number(await self.hand.add_project_member_user("shop", "ann", 2))
        shown = api.get_project_member("shop", member)
        assert (shown.entity_name, shown.role_id, shown.role_name) == ("ann", 2, "developer")
        assert (await ann.get_project("shop")).name == "shop"
        refused(409, api.create_project_member, "shop", project_member=harbor_client.ProjectMember(
            role_id=1, member_user=harbor_client.UserEntity(username="ann")))
        api.update_project_member("shop", member, role=harbor_client.RoleRequest(role_id=4))
        listed = await self.hand.get_project_members("shop", entity_name="ann")
        assert [(one.id, one.role_id) for one in listed] == [(member, 4)]
        assert {one.entity_name for one in api.list_project_members("shop")} == {"admin", "ann"}
        await self.hand.update_project_member_role("shop", member, 3)
        assert (await self.hand.get_project_member("shop", member)).role_name == "guest"
        await self.hand.remove_project_member("shop", member)
        refused(404, api.get_project_member, "shop", member)
        await refuses(Forbidden, ann.get_project("shop"))

    async def permissions(self):
        one, other = await self.hand.get_permissions(), self.made.PermissionsApi.get_permissions()
        pairs = lambda list: {(right.resource, right.action) for right in list}
        assert pairs(one.project) == pairs(other.project)
        assert pairs(one.system) == pairs(other.system)
        assert ("repository", "pull") in pairs(one.project) and ("quota", "read") in pairs(one.system)
        scope = f"/project/{self.made.ProjectApi.get_project('shop').project_id}"
        mine = await self.hand.get_current_user_permissions(scope, relative=True)
        theirs = self.made.UserApi.get_current_user_permissions(scope=scope, relative=True)
        assert pairs(mine) == pairs(theirs) and len(mine) > 10

    async def label(self):
        api = self.made.LabelApi
        project = self.made.ProjectApi.get_project("shop").project_id
        label = number(await self.hand.create_label(m.Label(
            name="good", color="#00AB9A", scope="p", project_id=project)))
        assert api.get_label_by_id(label).color == "#00AB9A"
        api.update_label(
            label, harbor_client.Label(name="better", color="#FFFFFF", description="x"))
        listed = await self.hand.get_labels(scope="p", project_id=project)
        assert [(one.id, one.name, one.description) for one in listed] == [(label, "better", "x")]
        assert api.list_labels(scope="g") == []
        await self.hand.delete_label(label)
        refused(404, api.get_label_by_id, label)

    async def repository_tag(self):
        api = self.made.RepositoryApi
        name = f"{self.project_name}/{self.repository}"
        await self.hand.update_repository(
            self.project_name, self.repository, m.Repository(description="what it is"))
        shown = api.get_repository(self.project_name, self.repository.replace("/", "%2F"))
        assert (shown.name, shown.description) == (name, "what it is")
        assert shown.artifact_count == 1
        listed = await self.hand.get_repositories(self.project_name)
        assert name in [repository.name for repository in listed]
        listed = api.list_all_repositories(q=f"name=~{self.repository}")
        assert name in [repository.name for repository in listed]
        api.update_repository(
            self.project_name, self.repository, harbor_client.Repository(description="new words"))
        shown = await self.hand.get_repository(self.project_name, self.repository)
        assert shown.description == "new words"

    async def artifact(self):
        api, where = self.made.ArtifactApi, (self.project_name, self.repository)
        shown = await self.hand.get_artifact(*where, self.tag, with_label=True)
        digest = shown.digest
        assert api.get_artifact(*where, self.tag).digest == digest
        assert shown.type == "IMAGE" and shown.size > 0 and shown.tags[0].name == self.tag
        await self.hand.create_artifact_tag(*where, digest, m.Tag(name="blue"))
        assert {tag.name for tag in api.list_tags(*where, digest)} == {self.tag, "blue"}
        api.create_tag(*where, digest, harbor_client.Tag(name="green"))
        tags = await self.hand.get_artifact_tags(*where, digest, with_immutable_status=True)
        assert {tag.name for tag in tags} == {self.tag, "blue", "green"}
        await self.hand.delete_artifact_tag(*where, digest, "blue")
        refused(404, api.get_artifact, *where, "blue")
        api.delete_tag(*where, digest, "green")
        label = number(await self.hand.create_label(m.Label(name="seen", scope="g")))
        await self.hand.add_artifact_label(*where, digest, m.Label(id=label))
        labels = api.list_artifacts(*where, with_label=True)[0].labels
        assert [one.name for one in labels] == ["seen"]
        listed = await self.hand.get_artifacts(*where, query=f"labels=({label})", with_label=True)
        assert [one.digest for one in listed] == [digest]
        listed = self.made.ProjectApi.list_artifacts_of_project(self.project_name)
        assert digest in [one.digest for one in listed]
        api.remove_label(*where, digest, label)
        assert not (await self.hand.get_artifact(*where, digest, with_label=True)).labels
        assert await self.hand.get_artifact_accessories(*where, digest) == []
        assert api.list_accessories(*where, digest) == []
        await self.hand.delete_label(label)
        await self.copies(digest)
        await self.additions()

    async def copies(self, digest):
        """By tag and by digest; each client finds what the other one copied."""
        api, name = self.made.ArtifactApi, f"{self.project_name}/{self.repository}"
        location = await self.hand.copy_artifact("shop", "copies/app", f"{name}:{self.tag}")
        assert location.endswith(f"/artifacts/{self.tag}")
        copied = api.get_artifact("shop", "copies%2Fapp", self.tag)
        assert copied.digest == digest and copied.repository_name == "shop/copies/app"
        await refuses(Conflict, self.hand.copy_artifact(
            "shop", "copies/app", f"{name}:{self.tag}"))
        api.copy_artifact("shop", "other", f"{name}@{digest}")
        refused(409, api.copy_artifact, "shop", "other", f"{name}@{digest}")
        shown = await self.hand.get_artifact("shop", "other", digest)
        assert {tag.name for tag in shown.tags} == {self.tag}
        refused(404, api.copy_artifact, "shop", "other", f"{name}:nothing")
        await refuses(NotFound, self.hand.copy_artifact("shop", "more", f"{name}:nothing"))
        for repository in ("copies/app", "other"):
            await self.hand.delete_repository("shop", repository)

    async def additions(self):
        """What artifacts hold besides their manifests, an image's and a chart's."""
        api, where = self.made.ArtifactApi, (self.project_name, self.repository, self.tag)
        history = await self.hand.get_artifact_build_history(*where)
        other = ast.literal_eval(api.get_addition(*where, "build_history"))
        assert history and [one.created_by for one in history] == [
            one.get("created_by") for one in other]
        mime = "application/vnd.security.vulnerability.report; version=1.1"
        report = await self.hand.get_artifact_vulnerabilities(*where)
        other = ast.literal_eval(api.get_vulnerabilities_addition(*where))[mime]
        found = lambda all, name: sorted((name(one, "id"), name(one, "package")) for one in all)
        assert found(report.vulnerabilities, getattr) == found(
            other["vulnerabilities"], lambda one, name: one[name])
        assert report.severity.value == other["severity"]
        path = "/projects/{}/repositories/{}/artifacts/{}/additions/{}"
        text = lambda where, name: self.hand.get_file(path.format(*where, name))
        sbom = json.loads((await text(
            (where[0], where[1].replace("/", "%252F"), where[2]), "sbom")).content)
        assert sbom["bomFormat"] == "CycloneDX" and len(sbom["components"]) > 0
        other = ast.literal_eval(api.get_addition(*where, "sbom"))
        assert other["components"] == sbom["components"]
        chart = ("charts", "front", "0.1.0")
        for name, words in {
            "values.yaml": "replicaCount: 1", "readme.md": "# Front", "dependencies": "base",
        }.items():
            one = (await text(chart, name)).content.decode()
            other = api.get_addition(*chart, name)
            if name == "dependencies":
                one, other = json.loads(one), ast.literal_eval(other)
                assert [needed["name"] for needed in one] == [words]
            else:
                assert words in one
            assert one == other, name
        refused(400, api.get_addition, *chart, "build_history")
        refused(400, api.get_addition, *where, "values.yaml")

    async def icon(self):
        icon = self.made.ArtifactApi.get_artifact(self.project_name, self.repository, self.tag).icon
        one, other = await self.hand.get_icon(icon), self.made.IconApi.get_icon(icon)
        assert one.content_type == other.content_type == "image/png"
        assert one.content == other.content and len(one.content) > 100

    async def quota(self):
        api = self.made.QuotaApi
        project = self.made.ProjectApi.get_project("shop").project_id
        quota = (await self.hand.get_quotas(reference="project", reference_id=str(project)))[0]
        assert quota.hard.root["storage"] == -1
        await self.hand.update_quota(
            quota.id, m.QuotaUpdateReq(hard=m.ResourceList({"storage": 5000})))
        assert api.get_quota(quota.id).hard["storage"] == 5000
        api.update_quota(quota.id, harbor_client.QuotaUpdateReq(hard={"storage": 7000}))
        assert (await self.hand.get_quota(quota.id)).hard.root["storage"] == 7000
        assert quota.id in [one.id for one in api.list_quotas()]

    async def immutable(self):
        api = self.made.ImmutableApi
        where = (self.project_name, self.repository)
        selector = lambda kind, pattern: m.ImmutableSelector(
            kind="doublestar", decoration=kind, pattern=pattern)
        rule = m.ImmutableRule(
            action="immutable", template="immutable_template", disabled=False,
            tag_selectors=[selector("matches", self.tag)],
            scope_selectors={"repository": [selector("repoMatches", "**")]})
        rule = number(await self.hand.create_project_immutable_tag_rule(self.project_name, rule))
        listed = api.list_immu_rules(self.project_name)
        assert [(one.id, one.tag_selectors[0].pattern) for one in listed] == [(rule, self.tag)]
        tags = await self.hand.get_artifact_tags(*where, self.tag, with_immutable_status=True)
        assert tags[0].immutable
        refused(412, self.made.ArtifactApi.delete_tag, *where, self.tag, self.tag)
        listed[0].disabled = True
        api.update_immu_rule(self.project_name, rule, listed[0])
        shown = await self.hand.get_project_immutable_tag_rules(self.project_name)
        assert shown[0].disabled and shown[0].tag_selectors[0].pattern == self.tag
        await self.hand.enable_project_immutable_tagrule(self.project_name, rule, True)
        assert not api.list_immu_rules(self.project_name)[0].disabled
        await self.hand.delete_project_immutable_tag_rule(self.project_name, rule)
        assert api.list_immu_rules(self.project_name) == []

    async def cve_allowlist(self):
        api = self.made.SystemCVEAllowlistApi
        await self.hand.update_cve_allowlist(m.CVEAllowlist(
            items=[m.CVEAllowlistItem(cve_id="CVE-2026-1")], expires_at=None))
        shown = api.get_system_cve_allowlist()
        assert [item.cve_id for item in shown.items] == ["CVE-2026-1"]
        api.put_system_cve_allowlist(allowlist=harbor_client.CVEAllowlist(items=[]))
        assert (await self.hand.get_cve_allowlist()).items == []

    async def auditlog(self):
        log = await self.hand.get_audit_logs(query="operation=create", page_size=100)
        assert {"ann", "admin"} & {entry.username for entry in log}
        other = self.made.AuditlogApi.list_audit_logs(q="operation=create", page_size=100)
        assert [entry.id for entry in other] == [entry.id for entry in log]
        log = await self.hand.get_project_logs("shop", page_size=100)
        assert log and {entry.id for entry in log} == {
            entry.id for entry in self.made.ProjectApi.get_logs("shop", page_size=100)}

    async def configure(self):
        api = self.made.ConfigureApi
        before = await self.hand.get_config()
        assert before.auth_mode.value == "db_auth"
        await self.hand.update_config(m.Configurations(token_expiration=41))
        assert api.get_configurations().token_expiration.value == 41
        api.update_configurations(harbor_client.Configurations(
            token_expiration=before.token_expiration.value))
        after = (await self.hand.get_config()).token_expiration.value
        assert after == before.token_expiration.value

    async def robot(self):
        api = self.made.RobotApi
        robot = await self.hand.create_robot(m.RobotCreate(
            name="builder", level="project", duration=-1, permissions=[m.RobotPermission(
                kind="project", namespace=self.project_name,
                access=[m.Access(resource="repository", action="pull"),
                        m.Access(resource="repository", action="list")])]))
        shown = api.get_robot_by_id(robot.id)
        assert shown.name == robot.name and shown.level == "project" and shown.expires_at == -1
        assert shown.permissions[0].namespace == self.project_name
        as_robot = Made(self.url, robot.name, robot.secret)
        listed = as_robot.RepositoryApi.list_repositories(self.project_name)
        assert [one.name for one in listed] == [f"{self.project_name}/{self.repository}"]
        refused(403, as_robot.MemberApi.list_project_members, self.project_name)
        project = self.made.ProjectApi.get_project(self.project_name).project_id
        listed = await self.hand.get_robots(query=f"Level=project,ProjectID={project}")
        assert [one.id for one in listed] == [robot.id]
        renewed = api.refresh_sec(robot.id, harbor_client.RobotSec(secret=""))
        refused(401, as_robot.RepositoryApi.list_repositories, self.project_name)
        robot_again = Made(self.url, robot.name, renewed.secret)
        assert robot_again.RepositoryApi.list_repositories(self.project_name)
        changed = await self.hand.get_robot(robot.id)
        changed.description, changed.disable = "switched off", True
        await self.hand.update_robot(robot.id, changed)
        assert api.get_robot_by_id(robot.id).disable
        refused(401, robot_again.RepositoryApi.list_repositories, self.project_name)
        await self.hand.delete_robot(robot.id)
        refused(404, api.get_robot_by_id, robot.id)

    async def ends(self):
        """What is removed at the end: the artifact, then its repository."""
        where = (self.project_name, self.repository)
        await self.hand.delete_artifact(*where, self.tag)
        refused(404, self.made.ArtifactApi.get_artifact, *where, self.tag)
        self.made.RepositoryApi.delete_repository(*where)
        await refuses(NotFound, self.hand.get_repository(*where))


# The tags of Harbor's contract, in the order in which their stories need one another.
ORDER = {
    "ping": Stories.ping,
    "health": Stories.health,
    "systeminfo": Stories.systeminfo,
    "project": Stories.project,
    "statistic": Stories.statistic,
    "search": Stories.search,
    "projectMetadata": Stories.project_metadata,
    "user": Stories.user,
    "usergroup": Stories.usergroup,
    "member": Stories.member,
    "permissions": Stories.permissions,
    "label": Stories.label,
    "repository": Stories.repository_tag,
    "artifact": Stories.artifact,
    "icon": Stories.icon,
    "quota": Stories.quota,
    "immutable": Stories.immutable,
    "SystemCVEAllowlist": Stories.cve_allowlist,
    "configure": Stories.configure,
    "robot": Stories.robot,
    "auditlog": Stories.auditlog,
}


async def authority(url, password, _, file):
    with open(file, "rb") as pem:
        pem = pem.read()
    one = HarborAsyncClient(
        url=url, username="admin", secret=password, retry=None, verify=file)
    assert (await one.get_system_certificate()).content == pem
    made = Made(url, "admin", password)
    configuration = made.client.configuration
    configuration.ssl_ca_cert = file
    configuration.temp_folder_path = os.path.dirname(file)
    made.client.rest_client = harbor_client.rest.RESTClientObject(configuration)
    got = made.SysteminfoApi.get_cert()
    with open(got, "rb") as got:
        assert got.read() == pem
    assert made.SysteminfoApi.get_system_info().has_ca_root
    print("authority")


async def main(url, password, pushed):
    stories = Stories(url, password, pushed)
    for tag, story in ORDER.items():
        await story(stories)
        print("tag", tag, flush=True)
    await stories.ends()


if __name__ == "__main__":
    asyncio.run((authority if "--authority" in sys.argv else main)(*sys.argv[1:]))
