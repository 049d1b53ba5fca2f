using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>
/// What must hold of all that the database keeps, whatever was killed. Read in SQL of its own and past the scheduler, none of whose code it
/// knows: each entry is a sentence and a query for what contradicts it.
/// </summary>
internal static class Invariants
{
    private static readonly (string Sentence, string Contradictions)[] Stored =
    [
        ("a job's history has no gap, and each step begins where the one before it ended",
            """
            select job_id, sequence, from_state, to_state from (
                select *, lag(sequence, 1, 0::bigint) over w as before, lag(to_state) over w as state
                from job_events window w as (partition by job_id order by sequence)) e
            where sequence <> before + 1 or from_state <> state
            """),
        ("a job is what its history says it became",
            """
            select id, state from jobs j
            where state is distinct from (select to_state from job_events where job_id = j.id order by sequence desc limit 1)
            """),
        ("a job never leaves a final state",
            "select job_id, sequence from job_events where from_state in ('Succeeded', 'Failed', 'Cancelled')"),
        ("an attempt is made after the one before it has ended, and each is counted",
            """
            select job_id, number, created_at, ended from (
                select *, lag(number, 1, 0) over w as before, lag(ended_at) over w as ended
                from attempts window w as (partition by job_id order by number)) a
            where number <> before + 1 or (before > 0 and (ended is null or ended > created_at))
            """),
        ("no device is granted twice at a time",
            """
            select a.job_id, a.attempt, b.job_id, b.attempt, a.device from device_grants a
            join device_grants b on a.node_id = b.node_id and a.device = b.device
                and (a.job_id, a.attempt, a.rank) < (b.job_id, b.attempt, b.rank)
            where tstzrange(a.granted_at, a.released_at) && tstzrange(b.granted_at, b.released_at)
            """),
        ("what is over holds no device",
            """
            select g.job_id, g.attempt, g.rank from device_grants g join jobs j on j.id = g.job_id
            where released_at is null and j.state in ('Succeeded', 'Failed', 'Cancelled')
            """),
        ("of no step are the figures of two attempts accepted",
            """
            select job_id, step, count(*) from metrics m
            where name = 'train/loss' and not exists (
                select from attempts b where b.job_id = m.job_id and b.number > m.attempt and m.step > b.resume_step)
            group by job_id, step having count(*) > 1
            """),
        ("a job that has succeeded has the figures of every step",
            """
            select id, count(distinct step), max(step) from jobs j join metrics m on m.job_id = j.id and m.name = 'train/loss'
            where state = 'Succeeded' group by id having count(distinct step) <> max(step) or min(step) <> 1
            """),
        ("a chunk is what its hash says", "select holder, sha256 from checkpoint_chunks where sha256(data) <> sha256 or length(data) <> bytes"),
        ("an attempt goes on from the newest whole checkpoint that there was",
            """
            select a.job_id, a.number, a.resume_step, c.step from attempts a
            join checkpoints c on c.job_id = a.job_id and c.attempt < a.number and c.created_at < a.created_at
            where c.step > a.resume_step or (c.id = a.resume_checkpoint_id and c.step <> a.resume_step)
            """),
        ("an attempt that goes on has something to go on from",
            "select job_id, number, resume_step from attempts where (resume_checkpoint_id is null) <> (resume_step = 0)"),
    ];

    public static async Task HoldAsync(LocalCluster cluster, string circumstances, CancellationToken cancellationToken)
    {
        foreach (var (sentence, contradictions) in Stored)
            (await cluster.QueryAsync(contradictions, cancellationToken)).ShouldBeEmpty($"{sentence}; {circumstances}");
        await CheckpointsAreWholeAsync(cluster, circumstances, cancellationToken);
    }

    /// <summary>Each job that a client was told of is there, once.</summary>
    public static async Task KnowsAsync(
        LocalCluster cluster, IReadOnlyCollection<string> acknowledged, string namePrefix, CancellationToken cancellationToken) =>
        (await cluster.QueryAsync($"select id from jobs where name like '{namePrefix}%'", cancellationToken))
            .ShouldBe(acknowledged, ignoreOrder: true, $"the jobs of {namePrefix} that are stored are those that were acknowledged");

    /// <summary>All that a manifest names is stored.</summary>
    private static async Task CheckpointsAreWholeAsync(LocalCluster cluster, string circumstances, CancellationToken cancellationToken)
    {
        const string query =
            """
            select c.id, translate(encode(c.manifest, 'base64'), E'\n', ''), coalesce((
                select string_agg(encode(r.sha256, 'hex') || ':' || d.bytes, ' ')
                from checkpoint_chunk_refs r join checkpoint_chunks d on d.holder = r.holder and d.sha256 = r.sha256
                where r.checkpoint_id = c.id), '')
            from checkpoints c
            """;
        foreach (var row in await cluster.QueryAsync(query, cancellationToken))
        {
            var columns = row.Split('|');
            var because = $"checkpoint {columns[0]} is whole; {circumstances}";
            var manifest = CheckpointManifest.Parser.ParseFrom(Convert.FromBase64String(columns[1]));
            var stored = columns[2].Split(' ').ToHashSet();
            foreach (var file in manifest.Files)
            {
                file.Chunks.Sum(chunk => (long)chunk.Bytes).ShouldBe(file.Bytes, because);
                file.Chunks.Select(chunk => $"{Convert.ToHexStringLower(chunk.Sha256.Span)}:{chunk.Bytes}")
                    .ShouldBeSubsetOf(stored, because);
            }

            manifest.Tensors.Select(tensor => tensor.File).ShouldBeSubsetOf(manifest.Files.Select(file => file.Name), because);
        }
    }
}
