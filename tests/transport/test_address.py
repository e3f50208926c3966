"""Where a relative URL leads, as a definition writes it and as an API gives it."""

from __future__ import annotations

import re

import pytest

from airflow_asyncjob.transport.address import BadUrlError, follow_link, join_url


@pytest.mark.parametrize(
    ("base", "url", "asked"),
    [
        ("https://h/api/v1", "/jobs/7", "https://h/api/v1/jobs/7"),
        ("https://h/api/v1", "jobs/7", "https://h/api/v1/jobs/7"),
        ("https://h/api/v1/", "/jobs/7", "https://h/api/v1/jobs/7"),
        ("https://h", "/api/v1/jobs/7", "https://h/api/v1/jobs/7"),
        # as an API gives it: from the root of its host
        ("https://h/api/v1", "/api/v1/jobs/7", "https://h/api/v1/jobs/7"),
        ("https://h:8443/api/v1/", "/api/v1/jobs/7?x=/api/v1", "https://h:8443/api/v1/jobs/7?x=/api/v1"),
        ("https://h/api/v1", "/api/v1", "https://h/api/v1"),
        # only the whole path counts
        ("https://h/api/v1", "/api/v10/jobs", "https://h/api/v1/api/v10/jobs"),
        ("https://h/api/v1", "/api/jobs", "https://h/api/v1/api/jobs"),
        ("https://h/api/v1", "", "https://h/api/v1"),
        ("https://h/api/v1", "https://files.h/api/v1/x", "https://files.h/api/v1/x"),
    ],
)
def test_a_relative_url_is_put_behind_the_base_once(base: str, url: str, asked: str) -> None:
    assert join_url(base, url) == asked


@pytest.mark.parametrize(
    ("base", "uri", "asked"),
    [
        ("http://minio:9000", "s3://results/a/b.csv", "http://minio:9000/results/a/b.csv"),
        ("http://minio:9000/s3/", "S3://results/b.csv", "http://minio:9000/s3/results/b.csv"),
        (
            "http://minio:9000",
            "s3://results/a b/c+d%20é.csv",
            "http://minio:9000/results/a%20b/c%2Bd%2520%C3%A9.csv",
        ),
        ("http://minio:9000", "s3://results/a//b?c#d", "http://minio:9000/results/a//b%3Fc%23d"),
        (
            "https://athena.eu-west-1.amazonaws.com",
            "s3://lake/a/b.csv",
            "https://lake.s3.eu-west-1.amazonaws.com/a/b.csv",
        ),
        (
            "https://s3.us-gov-east-1.amazonaws.com/",
            "s3://lake/b",
            "https://lake.s3.us-gov-east-1.amazonaws.com/b",
        ),
        (
            "https://athena.cn-north-1.amazonaws.com.cn",
            "s3://lake/b",
            "https://lake.s3.cn-north-1.amazonaws.com.cn/b",
        ),
        ("https://s3.amazonaws.com", "s3://lake/b", "https://lake.s3.amazonaws.com/b"),
        (
            "https://athena.eu-west-1.amazonaws.com",
            "s3://my.lake/b",
            "https://s3.eu-west-1.amazonaws.com/my.lake/b",
        ),
        ("https://amazonaws.com.evil.example", "s3://lake/b", "https://amazonaws.com.evil.example/lake/b"),
        ("https://evilamazonaws.com", "s3://lake/b", "https://evilamazonaws.com/lake/b"),
    ],
)
def test_an_s3_uri_is_asked_at_the_connection(base: str, uri: str, asked: str) -> None:
    assert join_url(base, uri) == asked


@pytest.mark.parametrize(
    ("base", "uri", "says"),
    [
        ("https://h", "s3://", "expected s3://BUCKET/KEY"),
        ("https://h", "s3://../etc", "the bucket is no bucket's name"),
        ("https://h", "s3://evil.example:80@x/k", "the bucket is no bucket's name"),
        ("https://athena.eu-west-1.amazonaws.com", "s3://evil.example#/k", "the bucket is no bucket's name"),
        ("https://h", "s3://lake", "names a bucket and no object"),
        ("https://h", "s3://lake/", "names a bucket and no object"),
        ("", "s3://lake/k", "the connection has no host; give it that of its S3, such as https://s3."),
    ],
)
def test_what_is_no_s3_uri_is_refused(base: str, uri: str, says: str) -> None:
    with pytest.raises(BadUrlError, match=re.escape(says)):
        join_url(base, uri)


@pytest.mark.parametrize(
    ("base", "url", "link", "asked"),
    [
        ("https://h/api", "https://h/api/x/rows?p=1", "?p=2", "https://h/api/x/rows?p=2"),
        ("https://h/api", "https://h/api/x/rows", "/x/more", "https://h/api/x/more"),
        ("https://h/api", "https://h/api/x/rows", "/api/x/more", "https://h/api/x/more"),
        ("https://h/api", "https://h/api/x/rows", "more", "https://h/api/x/more"),
        ("https://h/api", "https://h/api/x/rows", "//o/more", "https://o/more"),
        ("https://h/api", "https://o/v1/rows", "/v1/more", "https://o/v1/more"),
        ("http://h/api", "https://h/v1/rows", "/v1/more", "https://h/v1/more"),
        ("", "https://o/v1/rows", "/v1/more", "https://o/v1/more"),
    ],
)
def test_a_link_is_followed_from_where_it_stands(base: str, url: str, link: str, asked: str) -> None:
    assert follow_link(base, url, link) == asked
