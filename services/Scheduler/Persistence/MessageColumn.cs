using Google.Protobuf;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Cluster.Scheduler.Persistence;

/// <summary>Messages kept as protobuf's own bytes, or as its JSON where an earlier version stored them so.</summary>
internal static class MessageColumn
{
    public static ValueConverter<T, byte[]> Converter<T>() where T : IMessage<T>, new() =>
        new(message => message.ToByteArray(), stored => Read<T>(stored));

    public static ValueComparer<T> Comparer<T>() where T : IMessage<T>, new() =>
        new((a, b) => Equals(a, b), message => message.GetHashCode(), message => message);

    // A brace would begin a group, which no message of proto3 has.
    public static T Read<T>(byte[] stored) where T : IMessage<T>, new()
    {
        if (stored is [(byte)'{', ..])
            return JsonColumn.Read<T>(System.Text.Encoding.UTF8.GetString(stored));
        var message = new T();
        message.MergeFrom(stored);
        return message;
    }
}
