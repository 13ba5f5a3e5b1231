typedef int placeholder_;
