using Orleans.Runtime;

namespace Orleans.Serialization
{
    /// <summary>A value cannot be serialized.</summary>
    [GenerateSerializer]
    public class SerializerException : Exception
    {
        public SerializerException()
        {
        }

        public SerializerException(string message)
            : base(message)
        {
        }

        public SerializerException(string message, Exception innerException)
            : base(message, innerException)
        {
        }
    }

    /// <summary>A value of a type that cannot cross a grain call; the message says where it was, and the remedy.</summary>
    [GenerateSerializer]
    public sealed class CodecNotFoundException : SerializerException
    {
        public CodecNotFoundException(string message)
            : base(message)
        {
        }

        internal static CodecNotFoundException For(Type type)
        {
            var remedy =
                typeof(IAddressable).IsAssignableFrom(type) ? "a grain hands out this.AsReference<T>(), never itself"
                : type.Name.StartsWith("<>z__", StringComparison.Ordinal) ? "a collection expression typed as an interface makes a private type; make it an array, a List<T> or an ImmutableArray<T>"
                : type.Namespace == "System.Linq" ? "a lazy sequence has no data yet; end it with ToArray() or ToList()"
                : typeof(CancellationToken) == type ? "a token must be an argument of its own"
                : "mark it [GenerateSerializer] and its members [Id(n)], or register an IConverter for it";
            return new CodecNotFoundException($"{type} cannot cross a grain call: {remedy}.");
        }

        internal CodecNotFoundException Within(string place) => new($"{place}: {Message}");
    }

    /// <summary>Stands for an exception that a grain threw and whose type cannot cross a grain call.</summary>
    public sealed class UnavailableExceptionFallbackException : Exception
    {
        public UnavailableExceptionFallbackException()
        {
        }

        public UnavailableExceptionFallbackException(string message, Exception innerException)
            : base(message, innerException)
        {
        }

        /// <summary>The name of the exception's type.</summary>
        public string? ExceptionType { get; internal set; }

        public override string ToString() =>
            string.IsNullOrWhiteSpace(ExceptionType) ? $"Unknown exception: {base.ToString()}" : $"Unknown exception of type {ExceptionType}: {base.ToString()}";
    }
}
