using Cluster.Contracts;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>What of a job's points counts, and in which partitions they lie.</summary>
/// <param name="LastSteps">Of each attempt, from the first, the last step that counts; null: all of them count.</param>
/// <param name="Since">None was stored before.</param>
/// <param name="Until">None was stored from then on.</param>
internal sealed record MetricExtent(JobId Job, long?[] LastSteps, DateTime Since, DateTime Until)
{
    /// <summary>The number of the newest attempt.</summary>
    public int Attempt => LastSteps.Length;

    /// <summary>The rows of the job, by the parameters $1 to $3.</summary>
    public const string Rows = "job_id = $1 and stored_at >= $2 and stored_at < $3";

    /// <summary>The clocks of two schedulers differ by less than this.</summary>
    private const string Margin = "interval '1 hour'";

    /// <summary>Gives the row that <see cref="Read"/> reads, or none if there is no such job; $1 is the job.</summary>
    public const string Sql =
        $"""
        select created_at - {Margin}, coalesce(finished_at + {Margin}, '9999-12-31 00:00:00+00'), array(
            select min(a.resume_step) over (order by n rows between 1 following and unbounded following)
            from generate_series(1, (select max(number) from attempts where job_id = $1)) n
            left join attempts a on a.job_id = $1 and a.number = n
            order by n)
        from jobs where id = $1
        """;

    public static MetricExtent Read(JobId job, NpgsqlDataReader row) =>
        new(job, row.GetFieldValue<long?[]>(2), row.GetDateTime(0), row.GetDateTime(1));

    /// <summary>Whether a point of that attempt counts: a later attempt may have gone back behind it.</summary>
    public bool Counts(int attempt, long step) => LastStepOf(attempt) is not { } last || step <= last;

    /// <summary>Null: all steps of the attempt count.</summary>
    public long? LastStepOf(int attempt) => attempt >= 1 && attempt <= LastSteps.Length ? LastSteps[attempt - 1] : null;

    /// <summary>The values of $1 to $3 in <see cref="Rows"/>, and those that follow.</summary>
    public object[] Parameters(params object[] others) => [Job.Value, Since, Until, .. others];
}
