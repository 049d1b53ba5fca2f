using System.Text;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Cluster.Scheduler.Persistence;

/// <summary>Jobs' specs, kept as protobuf's own bytes, or as its JSON where an earlier version stored them so.</summary>
/// <remarks>
/// One that cannot be read, since the row was damaged or a later version wrote it, is no exception: of many jobs that are read together
/// the others have nothing to do with it.
/// </remarks>
internal static class SpecColumn
{
    /// <summary>Stands for a spec that cannot be read. It has the parts that every spec has, with nothing in them.</summary>
    public static readonly JobSpec Unreadable = new()
    {
        Model = new ModelSpec(),
        Data = new DataSpec(),
        Hyperparameters = new Hyperparameters(),
        Resources = new ResourceSpec(),
    };

    public static readonly ValueConverter<JobSpec, byte[]> Converter = new(spec => spec.ToByteArray(), stored => Read(stored));

    public static readonly ValueComparer<JobSpec> Comparer = new((a, b) => Equals(a, b), spec => spec.GetHashCode(), spec => spec);

    public static JobSpec Read(byte[] stored)
    {
        try
        {
            // A brace would begin a group, which no message of proto3 has.
            var spec = stored is [(byte)'{', ..]
                ? JsonColumn.Read<JobSpec>(Encoding.UTF8.GetString(stored))
                : JobSpec.Parser.ParseFrom(stored);
            return spec is { Model: not null, Hyperparameters: not null, Resources: not null } ? spec : Unreadable;
        }
        catch (Exception fault) when (fault is InvalidProtocolBufferException or InvalidJsonException)
        {
            return Unreadable;
        }
    }

    public static bool IsReadable(this JobSpec spec) => !ReferenceEquals(spec, Unreadable);
}
