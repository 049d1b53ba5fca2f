using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Attempts;

/// <summary>The attempt is over, or never was: what it sends is refused. gRPC: Aborted; the trainer must end.</summary>
[GenerateSerializer, Alias("cluster.AttemptFencedException")]
public sealed class AttemptFencedException(string message) : Exception(message);

/// <summary>How a credential stands, for who decides whether a call may begin.</summary>
public enum AttemptStanding
{
    /// <summary>Job, attempt and secret belong together and the attempt goes on.</summary>
    Current,

    /// <summary>They belong together, but the attempt is over.</summary>
    Over,

    /// <summary>There is no such attempt, or the secret is another one's.</summary>
    Unknown,
}

/// <summary>Keeps out what a superseded attempt sends.</summary>
public sealed class AttemptFence(ClusterDatabase database)
{
    /// <summary>A first look, before any work; the writes themselves look again, in their own transaction.</summary>
    public Task<AttemptStanding> StandingAsync(AttemptCredential credential, CancellationToken cancellationToken) =>
        database.RunAsync(async (connection, token) =>
        {
            await using var command = new NpgsqlCommand(
                "select ended_at is null from attempts where job_id = $1 and number = $2 and secret_hash = $3", connection);
            AddParameters(command, credential);
            return await command.ExecuteScalarAsync(token) switch
            {
                true => AttemptStanding.Current,
                false => AttemptStanding.Over,
                _ => AttemptStanding.Unknown,
            };
        }, cancellationToken);

    /// <summary>
    /// Holds the attempt open until the transaction ends: its conclusion updates the same row and so waits for every write that passed
    /// here, and every later one is refused.
    /// </summary>
    /// <exception cref="AttemptFencedException">The attempt is over, or never was.</exception>
    internal static async Task HoldAsync(NpgsqlConnection connection, AttemptCredential credential, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "select 1 from attempts where job_id = $1 and number = $2 and secret_hash = $3 and ended_at is null for share", connection);
        AddParameters(command, credential);
        if (await command.ExecuteScalarAsync(cancellationToken) is null)
            throw new AttemptFencedException(
                $"attempt {credential.Attempt} of job {credential.Job} is over; nothing more is accepted from it");
    }

    private static void AddParameters(NpgsqlCommand command, AttemptCredential credential)
    {
        command.Parameters.Add(new() { Value = credential.Job.Value });
        command.Parameters.Add(new() { Value = credential.Attempt });
        command.Parameters.Add(new() { Value = credential.SecretHash.ToArray() });
    }
}
