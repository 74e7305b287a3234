async def test_viewer(platform):
    assert await platform.ask("{viewer{username}}", "tom") == {"viewer": {"username": "tom"}}
    assert await platform.ask("{viewer{username}}") == {"viewer": None}


async def test_served(serve):
    g = await serve()
    tom = await g.log_in("tom")
    assert await g.ask("{viewer{username}}", tom) == {"viewer": {"username": "tom"}}
