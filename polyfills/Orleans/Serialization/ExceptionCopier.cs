using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace Orleans.Serialization;

/// <summary>
/// Exceptions keep type, message, stack, inner exceptions and data. The framework's own types lose further members, as they do between
/// machines; an application's keep those with an <see cref="IdAttribute"/>.
/// </summary>
internal sealed class ExceptionCopier : TypeCopier
{
    public static readonly ExceptionCopier Instance = new();

    // What the genuine package takes without annotations.
    private static readonly string[] FrameworkNamespaces = ["System", "Microsoft", "Azure"];

    public override object Copy(object original, CopyContext context) => Copy((Exception)original, context);

    public static Exception Copy(Exception original, CopyContext context)
    {
        Exception copy;
        try
        {
            copy = CopyTyped(original, context);
        }
        catch (CodecNotFoundException reason)
        {
            copy = new UnavailableExceptionFallbackException($"{original.GetType()}: {original.Message} ({reason.Message})", CopyInner(original, context)!)
            {
                ExceptionType = original.GetType().FullName,
            };
        }

        if (original.StackTrace is { } stack)
            ExceptionDispatchInfo.SetRemoteStackTrace(copy, stack);
        return copy;
    }

    public static bool IsFrameworkException(Type type) =>
        typeof(Exception).IsAssignableFrom(type)
        && Array.Exists(FrameworkNamespaces, prefix => type.Namespace == prefix || type.Namespace?.StartsWith(prefix + ".", StringComparison.Ordinal) == true);

    private static Exception CopyTyped(Exception original, CopyContext context)
    {
        var type = original.GetType();
        if (original is AggregateException aggregate && type == typeof(AggregateException))
            return new AggregateException(MessageOf(aggregate), aggregate.InnerExceptions.Select(inner => Copy(inner, context)));
        if (original is UnavailableExceptionFallbackException fallback)
            return new UnavailableExceptionFallbackException(fallback.Message, CopyInner(original, context)!) { ExceptionType = fallback.ExceptionType };
        if (!IsFrameworkException(type) && !type.IsDefined(typeof(GenerateSerializerAttribute), inherit: false))
            throw CodecNotFoundException.For(type);

        var fields = SerializableMembers.Of(type).ToArray();
        var copy = (Exception)RuntimeHelpers.GetUninitializedObject(type);
        MessageOf(copy) = original.Message;
        InnerOf(copy) = CopyInner(original, context);
        copy.HResult = original.HResult;
        copy.Source = original.Source;
        copy.HelpLink = original.HelpLink;
        foreach (System.Collections.DictionaryEntry entry in original.Data)
            copy.Data[CopyOrText(entry.Key, context)!] = CopyOrText(entry.Value, context);
        AnnotatedTypeCopier.CopyFields(fields, original, copy, context);
        return copy;
    }

    private static Exception? CopyInner(Exception original, CopyContext context) =>
        original.InnerException is { } inner ? Copy(inner, context) : null;

    private static object? CopyOrText(object? value, CopyContext context)
    {
        try
        {
            return context.Copy(value);
        }
        catch (CodecNotFoundException)
        {
            return value!.ToString();
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_message")]
    private static extern ref string? MessageOf(Exception exception);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_innerException")]
    private static extern ref Exception? InnerOf(Exception exception);
}
