using System.Text;
using System.Text.Json;
using Cluster.Contracts.JobFiles;
using Cluster.Contracts.V1;
using Cluster.Scheduler.Persistence;
using Npgsql;

namespace Cluster.Scheduler.Runs;

/// <summary>What jobs are set to, as searches read it.</summary>
public sealed class RunSettings([FromKeyedServices(StorePool.Bulk)] ClusterDatabase database)
{
    private const int JobsAtOnce = 500;

    // To find what is missing all jobs are looked at.
    private bool _isComplete;

    /// <summary>Flat, by path: {"model.name":"lenet5",…}.</summary>
    public static string Write(JobSpec spec)
    {
        using var json = new MemoryStream();
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            foreach (var setting in SpecSettings.Of(spec))
            {
                writer.WritePropertyName(setting.Path);
                switch (setting.Value)
                {
                    case bool flag: writer.WriteBooleanValue(flag); break;
                    case decimal whole: writer.WriteNumberValue(whole); break;
                    case double number when double.IsFinite(number): writer.WriteNumberValue(number); break;
                    default: writer.WriteStringValue(setting.Text); break;
                }
            }

            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(json.ToArray());
    }

    /// <summary>Adds what is missing, of jobs that an earlier version stored: once in this process' life.</summary>
    internal async Task SweepAsync(CancellationToken cancellationToken)
    {
        if (_isComplete)
            return;
        while (await AddSomeAsync(cancellationToken) == JobsAtOnce)
        {
        }

        _isComplete = true;
    }

    private Task<int> AddSomeAsync(CancellationToken cancellationToken) => database.TransactAsync(async (connection, token) =>
    {
        var (ids, settings) = (new List<Guid>(), new List<string>());
        // Held, so that none of them is removed meanwhile.
        await using (var missing = new NpgsqlCommand(
            """
            select id, spec from jobs j where not exists (select 1 from run_settings where job_id = j.id)
            limit $1 for key share skip locked
            """, connection))
        {
            missing.Parameters.Add(new() { Value = JobsAtOnce });
            await using var reader = await missing.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token))
            {
                ids.Add(reader.GetGuid(0));
                var spec = SpecColumn.Read(reader.GetFieldValue<byte[]>(1));
                settings.Add(spec.IsReadable() ? Write(spec) : "{}");
            }
        }

        await using var insert = new NpgsqlCommand(
            "insert into run_settings select id, settings::jsonb from unnest($1, $2) g (id, settings) on conflict do nothing", connection)
        {
            Parameters = { new() { Value = ids.ToArray() }, new() { Value = settings.ToArray() } },
        };
        await insert.ExecuteNonQueryAsync(token);
        return ids.Count;
    }, cancellationToken);
}
