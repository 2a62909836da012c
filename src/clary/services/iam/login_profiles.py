"""Login profiles: a user's password. Kept in the user's document, under a name that never leaves."""

from __future__ import annotations

from sqlalchemy.engine import Connection

from clary.errors import ServiceError
from clary.services.iam import account_settings, entities, errors, generation, passwords, shapes
from clary.services.iam.access_keys import caller
from clary.services.operation import Call, Document, Operations
from clary.store.records import Record

operations = Operations()


def _user(connection: Connection, call: Call, given: Document) -> Record:
    name = given.get("UserName") or caller(call)
    return entities.find(connection, entities.USER, call.account, name)


def _login(user: Record) -> Document:
    login: Document | None = user.document.get("Login")
    if login is None:
        raise errors.no_such(f"Login Profile for User {user.name} cannot be found.")
    return login


def _shown(user: Record) -> Document:
    login = _login(user)
    created, reset = shapes.when(login["CreateDate"]), login["PasswordResetRequired"]
    return {"LoginProfile": {"UserName": user.name, "CreateDate": created, "PasswordResetRequired": reset}}


@operations.handles("CreateLoginProfile")
def create_login_profile(call: Call, given: Document) -> Document:
    if not given.get("Password"):
        raise errors.invalid("Must specify a password.")
    kept, now = passwords.hashed(given["Password"]), call.platform.clock.now()

    def work(connection: Connection) -> Document:
        user = _user(connection, call, given)
        if "Login" in user.document:
            raise errors.exists(f"Login Profile for user {user.name} already exists.")
        passwords.check(given["Password"], account_settings.password_policy(connection, call.account))
        login = {
            "Password": kept,
            "CreateDate": now,
            "PasswordResetRequired": bool(given.get("PasswordResetRequired")),
        }
        return _shown(entities.change(call, connection, user, Login=login))

    return generation.write(call, work)


@operations.handles("GetLoginProfile")
def get_login_profile(call: Call, given: Document) -> Document:
    return _shown(call.platform.stores.records.read(lambda connection: _user(connection, call, given)))


@operations.handles("UpdateLoginProfile")
def update_login_profile(call: Call, given: Document) -> Document:
    password = given.get("Password")
    changes: Document = {"Password": passwords.hashed(password)} if password else {}
    if "PasswordResetRequired" in given:
        changes["PasswordResetRequired"] = given["PasswordResetRequired"]

    def work(connection: Connection) -> Document:
        user = _user(connection, call, given)
        login = _login(user)
        if password:
            passwords.check(password, account_settings.password_policy(connection, call.account))
        entities.change(call, connection, user, Login={**login, **changes})
        return {}

    return generation.write(call, work)


@operations.handles("DeleteLoginProfile")
def delete_login_profile(call: Call, given: Document) -> Document:
    def work(connection: Connection) -> Document:
        user = _user(connection, call, given)
        _login(user)
        entities.change(call, connection, user, Login=None)
        return {}

    return generation.write(call, work)


@operations.handles("ChangePassword")
def change_password(call: Call, given: Document) -> Document:
    if call.principal.kind != "user":
        raise ServiceError("InvalidUserType", "Only IAM Users can change their own password", 400)
    own = {"UserName": caller(call)}
    login = _login(call.platform.stores.records.read(lambda connection: _user(connection, call, own)))
    if not passwords.matches(given["OldPassword"], login["Password"]):
        raise errors.denied("The old password was incorrect.")
    kept = passwords.hashed(given["NewPassword"])

    def work(connection: Connection) -> Document:
        user = _user(connection, call, own)
        passwords.check(given["NewPassword"], account_settings.password_policy(connection, call.account))
        changed = {**_login(user), "Password": kept, "PasswordResetRequired": False}
        entities.change(call, connection, user, Login=changed)
        return {}

    return generation.write(call, work)
