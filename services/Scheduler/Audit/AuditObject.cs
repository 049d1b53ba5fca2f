using Cluster.Contracts.Access;
using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Cluster.Scheduler.Audit;

/// <summary>What a call was about, as its messages name it.</summary>
internal static class AuditObject
{
    private const int Longest = 200;

    private static readonly string[] Names = ["job_id", "experiment_id", "checkpoint_id", "node_id", "token_id", "name"];

    /// <returns>The id or name that the request asks for; else the id of what was made; else the name of what was to be made.</returns>
    public static string Of(IMessage? request, IMessage? response) => Clean(
        Names.Select(name => Text(request, name)).FirstOrDefault(text => text.Length > 0)
            ?? Inner(response, "id") ?? Inner(request, "name") ?? "");

    /// <summary>Text of the caller's that can be kept: one line, not long, and without a secret that got into it.</summary>
    public static string Clean(string text)
    {
        // Half a pair of surrogates, which a cut would leave too, cannot be stored.
        var one = string.Concat(
            AccessSecret.Redact(text).Select(character => char.IsControl(character) || char.IsSurrogate(character) ? ' ' : character));
        return one.Length <= Longest ? one : one[..(Longest - 1)] + "…";
    }

    private static string? Inner(IMessage? message, string name) => message?.Descriptor.Fields.InDeclarationOrder()
        .Where(field => field is { FieldType: FieldType.Message, IsRepeated: false })
        .Select(field => Text(field.Accessor.GetValue(message) as IMessage, name)).FirstOrDefault(text => text.Length > 0);

    private static string Text(IMessage? message, string name) =>
        message?.Descriptor.FindFieldByName(name) is { FieldType: FieldType.String, IsRepeated: false } field
            ? (string)field.Accessor.GetValue(message)
            : "";
}
