using Cluster.Contracts.V1;

namespace Cluster.EndToEnd.Tests.Faults;

/// <summary>A sentence that holds of what the database keeps, whatever was killed.</summary>
/// <param name="Sentence">In words.</param>
/// <param name="Contradictions">A query for the rows that contradict it.</param>
/// <param name="Example">A statement after which some do.</param>
internal sealed record Invariant(string Sentence, string Contradictions, string Example);

/// <summary>Independent checkers: they read past the scheduler, none of whose code they know, in SQL of their own.</summary>
internal static class Invariants
{
    public static IReadOnlyList<Invariant> All { get; } =
    [
        new("a job's history has no gap, and each step begins where the one before it ended",
            """
            select job_id, sequence, from_state, to_state from (
                select *, lag(sequence, 1, 0::bigint) over w as before, lag(to_state) over w as state
                from job_events window w as (partition by job_id order by sequence)) e
            where sequence <> before + 1 or from_state <> state
            """,
            "update job_events set sequence = sequence + 1000 where sequence > 1"),
        new("a job is what its history says it became",
            """
            select id, state from jobs j
            where state is distinct from (select to_state from job_events where job_id = j.id order by sequence desc limit 1)
            """,
            "update jobs set state = 'Running'"),
        new("a job never leaves a final state",
            "select job_id, sequence from job_events where from_state in ('Succeeded', 'Failed', 'Cancelled')",
            "update job_events set from_state = 'Succeeded' where sequence = 2"),
        new("an attempt is made after the one before it has ended, and each is counted",
            """
            select job_id, number, created_at, ended from (
                select *, lag(number, 1, 0) over w as before, lag(ended_at) over w as ended
                from attempts window w as (partition by job_id order by number)) a
            where number <> before + 1 or (before > 0 and (ended is null or ended > created_at))
            """,
            "update attempts set number = number + 1000"),
        new("no device is granted twice at a time",
            """
            select a.job_id, a.attempt, b.job_id, b.attempt, a.device from device_grants a
            join device_grants b on a.node_id = b.node_id and a.device = b.device
                and (a.job_id, a.attempt, a.rank) < (b.job_id, b.attempt, b.rank)
            where tstzrange(a.granted_at, a.released_at) && tstzrange(b.granted_at, b.released_at)
            """,
            "update device_grants set granted_at = '2000-01-01'"),
        new("what is over holds no device",
            """
            select g.job_id, g.attempt, g.rank from device_grants g join jobs j on j.id = g.job_id
            where released_at is null and j.state in ('Succeeded', 'Failed', 'Cancelled')
            """,
            """
            update device_grants set released_at = null
            where rank = 0 and job_id = (select id from jobs order by created_at desc limit 1)
            """),
        new("of no step are figures accepted twice, of two attempts or of one",
            """
            select job_id, step, count(*) from metrics m
            where name = 'train/loss' and not exists (
                select from attempts b where b.job_id = m.job_id and b.number > m.attempt and m.step > b.resume_step)
            group by job_id, step having count(*) > 1
            """,
            """
            insert into metrics (job_id, attempt, rank, name, step, epoch, time, value)
            select job_id, attempt, rank, name, step, epoch, time, value from metrics where name = 'train/loss'
            """),
        new("a job that has succeeded has the figures of every step",
            """
            select id, count(distinct m.step), max(m.step), trained from jobs
            join (select job_id, max(step) as trained from checkpoints where kind = 'Weights' group by job_id) c on c.job_id = id
            left join metrics m on m.job_id = id and m.name = 'train/loss'
            where state = 'Succeeded' group by id, trained
            having count(distinct m.step) <> greatest(max(m.step), trained) or min(m.step) <> 1
            """,
            "delete from metrics where name = 'train/loss' and step = (select max(step) from metrics where name = 'train/loss')"),
        new("a chunk is what its hash says",
            "select holder, sha256 from checkpoint_chunks where sha256(data) <> sha256 or length(data) <> bytes",
            "update checkpoint_chunks set data = overlay(data placing '\\xffff' from 100)"),
        new("an attempt goes on from the newest whole checkpoint that there was",
            """
            select a.job_id, a.number, a.resume_step, c.step from attempts a
            join checkpoints c on c.job_id = a.job_id and c.attempt < a.number and c.created_at < a.created_at
            where c.step > a.resume_step or (c.id = a.resume_checkpoint_id and c.step <> a.resume_step)
            """,
            "update checkpoints set attempt = 0, created_at = '2000-01-01' where step = (select max(step) from checkpoints)"),
        new("an attempt that goes on has something to go on from",
            "select job_id, number, resume_step from attempts where (resume_checkpoint_id is null) <> (resume_step = 0)",
            "update attempts set resume_checkpoint_id = null, resume_step = 20"),
    ];

    /// <summary>All of it holds.</summary>
    public static async Task HoldAsync(LocalCluster cluster, string circumstances, CancellationToken cancellationToken)
    {
        foreach (var invariant in All)
        {
            (await cluster.QueryAsync(invariant.Contradictions, cancellationToken))
                .ShouldBeEmpty($"{invariant.Sentence}; {circumstances}");
        }

        (await TornCheckpointsAsync(cluster, "", cancellationToken)).ShouldBeEmpty($"all that a manifest names is stored; {circumstances}");
    }

    /// <summary>Each job that a client was told of is there, once.</summary>
    public static async Task KnowsAsync(
        LocalCluster cluster, IReadOnlyCollection<string> acknowledged, string namePrefix, CancellationToken cancellationToken) =>
        (await cluster.QueryAsync($"select id from jobs where name like '{namePrefix}%'", cancellationToken))
            .ShouldBe(acknowledged, ignoreOrder: true, $"the jobs of {namePrefix} that are stored are those that were acknowledged");

    /// <summary>
    /// A line for each node, "name|epoch". The epoch is raised when a node is declared lost or its agent starts anew; to register again
    /// costs nothing.
    /// </summary>
    public static Task<IReadOnlyList<string>> EpochsAsync(LocalCluster cluster, CancellationToken cancellationToken) =>
        cluster.QueryAsync("select name, epoch from nodes order by name", cancellationToken);

    /// <summary>Checkpoints whose manifests name what is not stored with them.</summary>
    /// <param name="cluster">Whose.</param>
    /// <param name="before">What is done before, and undone again.</param>
    /// <param name="cancellationToken">Ends the question.</param>
    public static async Task<IReadOnlyList<string>> TornCheckpointsAsync(
        LocalCluster cluster, string before, CancellationToken cancellationToken)
    {
        const string query =
            """
            select c.id, translate(encode(c.manifest, 'base64'), E'\n', ''), coalesce((
                select string_agg(encode(r.sha256, 'hex') || ':' || length(d.data), ' ')
                from checkpoint_chunk_refs r join checkpoint_chunks d on d.holder = r.holder and d.sha256 = r.sha256
                where r.checkpoint_id = c.id), '')
            from checkpoints c
            """;
        var torn = new List<string>();
        foreach (var row in await cluster.QueryAsync($"begin; {before}; {query}; rollback", cancellationToken))
        {
            var columns = row.Split('|');
            var manifest = CheckpointManifest.Parser.ParseFrom(Convert.FromBase64String(columns[1]));
            var stored = columns[2].Split(' ').ToHashSet();
            var isWhole = manifest.Files.All(file => file.Chunks.Sum(chunk => (long)chunk.Bytes) == file.Bytes
                    && file.Chunks.All(chunk => stored.Contains($"{Convert.ToHexStringLower(chunk.Sha256.Span)}:{chunk.Bytes}")))
                && manifest.Tensors.All(tensor => manifest.Files.Any(file => file.Name == tensor.File));
            if (!isWhole)
                torn.Add(columns[0]);
        }

        return torn;
    }
}
