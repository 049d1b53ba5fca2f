namespace Cluster.Bench.Runs;

/// <summary>Runs of a farm that has gone on for long, as statements make them of one job that was submitted.</summary>
internal static class StoredRuns
{
    /// <summary>Each of them measured at so many steps.</summary>
    public const int StepsOfASeries = 100;

    public static readonly string[] Series = ["train/loss", "train/accuracy", "validation/loss", "validation/accuracy"];

    public static int PointsOfARun => StepsOfASeries * Series.Length;

    /// <summary>
    /// Copies with settings of their own, spread over a year back: a tenth of each of ten networks, rates from 1e-4 to 1 in all orders, and
    /// an accuracy that nine in ten have. All ended just now, so that all points lie in one partition.
    /// </summary>
    public static string Insert(string job, int runs) =>
        $"""
        create temp table made as select gen_random_uuid() as id, n, now() - n * interval '{365 * 24 * 3600 / runs} seconds' as at
            from generate_series(1, {runs}) n;
        insert into jobs (id, owner, request_id, name, workspace, priority, spec, wait_for_capacity, traceparent, tracestate, state, reason,
            version, last_event, attempt, restarts, launch_failures, avoid_nodes, created_at, started_at, finished_at)
        select m.id, owner, 'run ' || n, 'run-' || n, 'w' || n % 20, priority, spec, false, '', '', 'Succeeded', '',
            1, 1, 1, 0, 0, avoid_nodes, m.at, m.at, now()
        from made m cross join jobs where jobs.id = '{job}';
        insert into run_settings select m.id, settings || jsonb_build_object(
            'model.name', 'net-' || n % 10, 'hyperparameters.optimizer.learningRate', round((10 ^ (-4 * random()))::numeric, 6),
            'hyperparameters.epochs', 1 + n % 90)
        from made m cross join run_settings s where s.job_id = '{job}';
        insert into runs select id, jsonb_build_object('epoch', 90, 'epochs', 90, 'step', '1000', 'steps', '1000', 'trainLoss', random())
            || case when n % 10 > 0 then jsonb_build_object('validationAccuracy', random(), 'testAccuracy', random())
                else jsonb_build_object() end
        from made;
        insert into attempts (job_id, number, secret_hash, state, world_size, resume_step, created_at, started_at, ended_at, reason,
            launch_failed)
        select id, 1, '', 'Ended', 1, 0, at, at, at + interval '1 hour', '', false from made;
        insert into metrics (job_id, attempt, rank, name, step, epoch, time, value, stored_at)
        select id, 1, 0, name, step * 10, step, at + step * interval '30 seconds', random(), now()
        from made, generate_series(1, {StepsOfASeries}) step, unnest(array['{string.Join("', '", Series)}']) name;
        """;

    public const string Settle = "vacuum analyze jobs, runs, run_settings, attempts, metrics";

    public static string Ids(int runs) => $"select id from jobs where state = 'Succeeded' order by id limit {runs}";
}
