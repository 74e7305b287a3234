"""Sessions at work: types in places, creators and reporters of four kinds, states of members, assets of services

Revision ID: bd3a714d97f0
Revises: a3f5c8207e91
"""
import sqlalchemy as sa
from alembic import op

import db.types
from db.migrations.sqlite import rewrite
from db.types import uuid7

revision = 'bd3a714d97f0'
down_revision = 'a3f5c8207e91'
branch_labels = None
depends_on = None

LINKS = (('session_type_sites', 'site_id', 'sites'), ('session_type_projects', 'project_id', 'projects'),
         ('session_type_services', 'service_id', 'services'))
REFERS = {
    'session_types': (('service_id', 'services', 'RESTRICT'),),
    'sessions': (('creator_participant_id', 'participants', 'RESTRICT'), ('creator_device_id', 'devices', 'RESTRICT'),
                 ('creator_service_id', 'services', 'RESTRICT')),
    'session_events': (('user_id', 'users', 'SET NULL'), ('participant_id', 'participants', 'SET NULL'),
                       ('device_id', 'devices', 'SET NULL'), ('service_id', 'services', 'SET NULL')),
    'files': (('participant_id', 'participants', 'RESTRICT'), ('device_id', 'devices', 'RESTRICT')),
    'uploads': (('participant_id', 'participants', 'CASCADE'), ('device_id', 'devices', 'CASCADE')),
    'notifications': (('participant_id', 'participants', 'CASCADE'), ('service_id', 'services', 'CASCADE')),
}
FLAGS = (('users', 'busy'), ('participants', 'busy'), ('devices', 'busy'), ('services', 'checks_assets'),
         ('projects', 'quarantine'), ('projects', 'participant_sessions'))
CREATORS = ('creator_id', 'creator_participant_id', 'creator_device_id', 'creator_service_id')
ONE = " + ".join(f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END" for column in CREATORS) + " = 1"
ENDS = "ends_at IS NULL OR ends_at >= starts_at"
READY = ("(state = 'READY') = (blob_id IS NOT NULL)",
         "(state IN ('READY', 'QUARANTINED')) = (blob_id IS NOT NULL OR address IS NOT NULL)")
STATES = ("state IN ('CHECKING', 'READY', 'REFUSED')", "state IN ('CHECKING', 'READY', 'REFUSED', 'QUARANTINED')")
MEMBER = "state IN ('INVITED', 'JOINED', 'BUSY', 'REFUSED', 'TIMED_OUT', 'LEFT')"
CHANNELS = ("channel IN ('EMAIL', 'CHAT')", "channel IN ('EMAIL', 'CHAT', 'SERVICE')")
_KINDS = (
    "'PASSWORD', 'LOGIN_SESSION', 'API_KEY', 'STATIC_TOKEN', 'TOTP', 'RECOVERY_CODE', 'EMAIL_CODE', 'EMAIL_VERIFY', "
    "'PASSWORD_RESET', 'SSH_CERTIFICATE', 'CHALLENGE_WORKER', 'SPEC_TOKEN'"
)
KINDS = (f"kind IN ({_KINDS})", f"kind IN ({_KINDS}, 'LOGIN_CODE', 'CERTIFICATE')")
LIVE = 'deleted_at IS NULL'
INDEXES = (
    *((table, f'ix_{table}_updated_at_id', ['updated_at', 'id'], None)
      for table in ('session_types', 'sessions', 'session_members', 'participants', 'devices')),
    ('session_events', 'ix_session_events_session_id_updated_at_id', ['session_id', 'updated_at', 'id'], None),
    ('session_types', 'ix_session_types_service_id', ['service_id'], None),
    *(('sessions', f'ix_sessions_{who}_starts_at_id', [who, 'starts_at', 'id'], LIVE) for who in CREATORS[1:]),
    ('sessions', 'ix_sessions_ends_at_id', ['ends_at', 'id'], LIVE),
    ('sessions', 'ix_sessions_planned', ['starts_at'], "status = 'NOT_STARTED' AND deleted_at IS NULL"),
    ('sessions', 'ix_sessions_under_way', ['starts_at'], "status = 'IN_PROGRESS' AND deleted_at IS NULL"),
    ('session_events', 'ix_session_events_seq', ['device_id', 'seq'], 'seq IS NOT NULL'),
    ('session_members', 'ix_session_members_expires_at', ['expires_at'], 'expires_at IS NOT NULL'),
    *(('files', f'ix_files_{who}_id_created_at_id', [f'{who}_id', 'created_at', 'id'], LIVE) for who in ('participant', 'device')),
    *(('uploads', f'ix_uploads_{who}_id', [f'{who}_id'], None) for who in ('participant', 'device')),
    *(('notifications', f'ix_notifications_{who}_id', [f'{who}_id'], None) for who in ('participant', 'service')),
)


def upgrade() -> None:
    for table, column, target in LINKS:
        op.create_table(table,
        sa.Column('id', db.types.Key(), nullable=False),
        sa.Column(column, db.types.Key(), nullable=False),
        sa.Column('session_type_id', db.types.Key(), nullable=False),
        sa.Column('created_at', db.types.Instant(), nullable=False),
        sa.Column('updated_at', db.types.Instant(), nullable=False),
        sa.Column('version', sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint([column], [f'{target}.id'], name=op.f(f'fk_{table}_{column}'), ondelete='CASCADE'),
        sa.ForeignKeyConstraint(['session_type_id'], ['session_types.id'], name=op.f(f'fk_{table}_session_type_id'), ondelete='CASCADE'),
        sa.PrimaryKeyConstraint('id', name=op.f(f'pk_{table}')),
        sa.UniqueConstraint(column, 'session_type_id', name=op.f(f'uq_{table}_{column}_session_type_id'))
        )
        op.create_index(f'ix_{table}_session_type_id_{column}', table, ['session_type_id', column])
    for table, refers in REFERS.items():
        for column, _, _ in refers:
            op.add_column(table, sa.Column(column, db.types.Key(), nullable=True))
    for table, column in FLAGS:
        op.add_column(table, sa.Column(column, sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column('sessions', sa.Column('ends_at', db.types.Instant(), nullable=True))
    op.add_column('sessions', sa.Column('resumed_at', db.types.Instant(), nullable=True))
    op.add_column('session_events', sa.Column('client_id', sa.String(length=64), nullable=True))
    op.add_column('session_events', sa.Column('seq', sa.BigInteger(), nullable=True))
    op.add_column('session_members', sa.Column('state', sa.String(length=32), server_default='INVITED', nullable=False))
    op.add_column('session_members', sa.Column('expires_at', db.types.Instant(), nullable=True))
    op.add_column('uploads', sa.Column('file_expires_at', db.types.Instant(), nullable=True))
    op.add_column('files', sa.Column('address', sa.Text(), nullable=True))
    if op.get_context().dialect.name == 'sqlite':
        _sqlite()
    else:
        _postgresql()
    for table, name, columns, where in INDEXES:
        given = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=given, postgresql_where=given)
    for who in ('user_id', 'participant_id', 'device_id', 'service_id'):
        given = sa.text(f'{who} IS NOT NULL AND client_id IS NOT NULL')
        op.create_index(f'uq_session_events_{who}', 'session_events', [who, 'client_id'], unique=True,
                        sqlite_where=given, postgresql_where=given)
    _go_on()


def _sqlite() -> None:
    more = {
        'sessions': f"CONSTRAINT ck_sessions_end CHECK ({ENDS}), \n\tCONSTRAINT ck_sessions_one CHECK ({ONE})",
        'session_members': f"CONSTRAINT ck_session_members_sessionmemberstate CHECK ({MEMBER})",
    }
    others = {
        'sessions': (('creator_id CHAR(36) NOT NULL', 'creator_id CHAR(36)'),),
        'files': (READY, STATES),
        'notifications': (CHANNELS,),
    }
    for table in {**REFERS, **more}:
        parts = [
            f"CONSTRAINT fk_{table}_{column} FOREIGN KEY({column}) REFERENCES {target} (id) ON DELETE {rule}"
            for column, target, rule in REFERS.get(table, ())
        ]
        key = f"CONSTRAINT pk_{table} PRIMARY KEY"
        given = ", \n\t".join((*parts, *((more[table],) if table in more else ()), key))
        rewrite(table, *others.get(table, ()), (key, given))
    rewrite('notification_templates', CHANNELS)
    rewrite('credentials', KINDS)


def _postgresql() -> None:
    op.alter_column('sessions', 'creator_id', nullable=True)
    for table, name, text in (
        ('files', 'ready', READY[1]), ('files', 'filestate', STATES[1]), ('notifications', 'channel', CHANNELS[1]),
        ('notification_templates', 'channel', CHANNELS[1]), ('credentials', 'credentialkind', KINDS[1]),
    ):
        op.drop_constraint(op.f(f'ck_{table}_{name}'), table, type_='check')
        op.create_check_constraint(op.f(f'ck_{table}_{name}'), table, text)
    for name, table, text in (('end', 'sessions', ENDS), ('one', 'sessions', ONE), ('sessionmemberstate', 'session_members', MEMBER)):
        op.create_check_constraint(op.f(f'ck_{table}_{name}'), table, text)
    for table, refers in REFERS.items():
        for column, target, rule in refers:
            op.create_foreign_key(f'fk_{table}_{column}', table, target, [column], ['id'], ondelete=rule)


def _go_on() -> None:
    """Types of sessions stay where they were: everybody with a part in a site saw all. Who was in a session that began
    is in it."""
    bind, joined = op.get_bind(), ('IN_PROGRESS', 'COMPLETED', 'TERMINATED')
    bind.execute(
        sa.text("UPDATE session_members SET state = 'JOINED' WHERE session_id IN (SELECT id FROM sessions WHERE status IN :there)")
        .bindparams(sa.bindparam('there', joined, expanding=True))
    )
    for table, column in (('users', 'user_id'), ('participants', 'participant_id'), ('devices', 'device_id')):
        bind.execute(sa.text(
            f"UPDATE {table} SET busy = true WHERE id IN (SELECT m.{column} FROM session_members m "
            "JOIN sessions s ON s.id = m.session_id WHERE s.status = 'IN_PROGRESS' AND s.deleted_at IS NULL "
            f"AND m.deleted_at IS NULL AND m.{column} IS NOT NULL)"
        ))
    kinds = [key for (key,) in bind.execute(sa.text("SELECT id FROM session_types WHERE deleted_at IS NULL"))]
    sites = [key for (key,) in bind.execute(sa.text("SELECT id FROM sites WHERE deleted_at IS NULL"))]
    used = bind.execute(sa.text(
        "SELECT DISTINCT s.type_id, s.project_id FROM sessions s JOIN session_types t ON t.id = s.type_id "
        "JOIN projects p ON p.id = s.project_id WHERE t.deleted_at IS NULL AND p.deleted_at IS NULL"
    ))
    _link('session_type_sites', 'site_id', [(kind, site) for kind in kinds for site in sites])
    _link('session_type_projects', 'project_id', [tuple(pair) for pair in used])


def _link(table: str, column: str, pairs: list[tuple[object, object]]) -> None:
    link = sa.table(table, *(sa.column(name, kind) for name, kind in (
        ('id', db.types.Key()), (column, None), ('session_type_id', None), ('created_at', db.types.Instant()),
        ('updated_at', db.types.Instant()), ('version', sa.Integer()))))
    rows = [{'id': uuid7(), column: other, 'session_type_id': kind, 'version': 1} for kind, other in pairs]
    moment = {'created_at': db.types.now(), 'updated_at': db.types.now()}
    for row in rows:
        op.get_bind().execute(sa.insert(link).values({**row, **moment}))


def downgrade() -> None:
    raise NotImplementedError("restore a copy of the database made before: events and creators have no place in older tables")
