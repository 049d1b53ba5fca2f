using System.Collections;
using System.Collections.Concurrent;
using Cluster.Contracts.V1;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Cluster.Scheduler.Workspaces;

/// <summary>The texts of a message that may name other jobs, as its proto declares by <c>names_jobs</c>.</summary>
internal static class JobNames
{
    private static readonly ConcurrentDictionary<MessageDescriptor, IReadOnlyList<FieldDescriptor>> Known = new();

    /// <summary>Whether any text of such a message is one.</summary>
    public static bool AreIn(MessageDescriptor message) => FieldsOf(message).Count > 0;

    /// <summary>Puts something else into the place of each.</summary>
    /// <param name="change">It returns the text itself where it is to stay.</param>
    public static void Change(IMessage message, Func<string, string> change)
    {
        foreach (var field in FieldsOf(message.Descriptor))
        {
            switch (field.Accessor.GetValue(message))
            {
                case string text:
                    var changed = change(text);
                    if (!ReferenceEquals(changed, text))
                        field.Accessor.SetValue(message, changed);
                    break;
                case IList<string> texts:
                    for (var i = 0; i < texts.Count; i++)
                        texts[i] = change(texts[i]);
                    break;
                case IMessage inner:
                    Change(inner, change);
                    break;
                case IList messages:
                    foreach (IMessage each in messages)
                        Change(each, change);
                    break;
            }
        }
    }

    /// <summary>Those that are such texts, and those whose messages have some. No message of ours holds one of its own kind.</summary>
    private static IReadOnlyList<FieldDescriptor> FieldsOf(MessageDescriptor message) => Known.GetOrAdd(
        message, static each => [.. each.Fields.InDeclarationOrder().Where(field => field.FieldType == FieldType.Message
            ? !field.IsMap && field.MessageType.File.Package == each.File.Package && AreIn(field.MessageType)
            : field.GetOptions()?.GetExtension(AccessExtensions.NamesJobs) == true)]);
}
